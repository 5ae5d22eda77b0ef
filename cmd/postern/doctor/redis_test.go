package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"testing"

	"postern/session"
)

func TestRedisIsTriedAgainAfterSilenceAlone(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		first error
		want  int
	}{
		"it answers":              {nil, 1},
		"it refuses":              {errors.New("WRONGPASS"), 1},
		"no answer in time":       {fmt.Errorf("dial: %w", context.DeadlineExceeded), 2},
		"no answer to what it is": {&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, 2},
	} {
		tries := 0
		patiently(func() []session.Trial {
			if tries++; tries == 1 {
				return []session.Trial{{Name: "PING", Err: tc.first}}
			}
			return []session.Trial{{Name: "PING", Err: context.DeadlineExceeded}}
		})
		if tries != tc.want {
			t.Errorf("%s: tried %d times", name, tries)
		}
	}
}
