package redistest_test

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"postern/session/redistest"
)

// A process that is stopped for a while counts it, and the clock leaves it out.
func TestClockStandsStillWithTheMachine(t *testing.T) {
	t.Parallel()
	const variable, work, pause = "REDISTEST_STANDSTILL", 400 * time.Millisecond, 2 * time.Second
	if os.Getenv(variable) != "" {
		took := redistest.Took(func() {
			began := time.Now() // before anybody hears of it
			fmt.Println("began")
			for time.Since(began) < work+pause {
				time.Sleep(time.Millisecond)
			}
		})
		fmt.Println(int64(took/time.Millisecond), int64(redistest.StoodStill()/time.Millisecond))
		return
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestClockStandsStillWithTheMachine$") //nolint:gosec // this very program
	child.Env = append(os.Environ(), variable+"=1")
	out, err := child.StdoutPipe()
	if err != nil || child.Start() != nil {
		t.Fatal(err)
	}
	var line string
	if _, err := fmt.Fscan(out, &line); err != nil || line != "began" {
		t.Fatal(line, err)
	}
	redistest.Freeze(child.Process)
	time.Sleep(pause)
	if err := child.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	var took, stood int64
	if _, err := fmt.Fscan(out, &took, &stood); err != nil {
		t.Fatal(err)
	}
	if limit := (work + pause/4).Milliseconds(); took > limit || stood < pause.Milliseconds()*3/4 {
		t.Errorf("it took %d ms by the clock (at most %d), and stood still for %d", took, limit, stood)
	}
	_ = child.Wait()
}
