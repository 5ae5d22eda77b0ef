package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"testing"
)

// TestStandIn is what this test binary does in postern's place, so that the handling of processes is tested without postern.
func TestStandIn(t *testing.T) {
	mode := os.Getenv("E2E_STAND_IN")
	if mode == "" {
		return // an ordinary run of the tests
	}
	fmt.Printf(`{"msg":"start","ingress":%q,"args":%q}`+"\n", os.Getenv("POSTERN_INGRESS"), os.Args[1:])
	if mode == "exit" {
		os.Exit(2)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	asked := 0
	http.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		if asked++; asked < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	go func() { _ = http.ListenAndServe(os.Getenv("POSTERN_PROBE_BIND_ADDRESS"), nil) }()
	<-stop
	fmt.Println(`{"msg":"stop"}`)
}

func TestProcessIsStartedWatchedAndStopped(t *testing.T) {
	t.Setenv("E2E_BINARY", os.Args[0])
	p := Start(t, map[string]string{"E2E_STAND_IN": "serve", "POSTERN_INGRESS": "http://app.localhost"}, "-test.run=^TestStandIn$")
	if start := p.Log.WaitFor(t, map[string]any{"ingress": "http://app.localhost"}); fmt.Sprint(start["args"]) != "[-test.run=^TestStandIn$]" {
		t.Errorf("started with %v", start)
	}
	if status, _ := p.Readyz(t); status != http.StatusOK {
		t.Errorf("readyz: %d", status)
	}
	p.Log.Without(t, map[string]string{"a secret that it was not told": "hemmelig"})
	p.Stop(t)
	if len(p.Log.Find(map[string]any{"msg": "stop"})) != 1 {
		t.Error("it did not get the chance to stop by itself")
	}
}

func TestProcessThatEnds(t *testing.T) {
	t.Setenv("E2E_BINARY", os.Args[0])
	if code := Launch(t, map[string]string{"E2E_STAND_IN": "exit"}, "-test.run=^TestStandIn$").Wait(t); code != 2 {
		t.Errorf("exit code %d, want 2", code)
	}
}
