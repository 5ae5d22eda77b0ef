package doctor

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"postern/config"
)

// Whatever hangs, the report comes in time, in order, and says what it waited for.
func TestReportComesInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		began := time.Now()
		found := runAll(t.Context(), []section{
			{"deaf", time.Minute, func(context.Context) []Finding { <-release; return nil }},
			{"slow", time.Second, func(ctx context.Context) []Finding {
				<-ctx.Done()
				return []Finding{ok("slow", "heard it")}
			}},
			{"quick", time.Second, func(context.Context) []Finding { return []Finding{ok("quick", "")} }},
		}, 5*time.Second)
		if took := time.Since(began); took > 6*time.Second {
			t.Errorf("took %v", took)
		}
		var got []string
		for _, f := range found {
			got = append(got, f.Check+" "+string(f.Status))
		}
		if all := strings.Join(got, ", "); all != "deaf not checked, slow ok, quick ok" {
			t.Error(all)
		}
		close(release)
	})
}

// The second lock: even an error of somebody else that quotes a secret, in any spelling, does not show it, and no text breaks the line.
func TestReportShowsNoSecretAndOneLineEach(t *testing.T) {
	t.Parallel()
	cfg := &config.Config{}
	cfg.OpenID.ClientSecret = config.NewSecret("s3cret/with+signs")
	cfg.Redis.URI = config.NewSecret("redis://user:pass%2Fword@host:6379")
	cfg.Encryption.Keys = []config.Secret{config.NewSecret("a-key-of-the-ring")}
	text := "s3cret/with+signs s3cret%2Fwith%2Bsigns pass/word pass%2Fword a-key-of-the-ring\nok\x1b[2J \u202e" + strings.Repeat("x", 2*maxText)
	r := report([]Finding{problem("check", text, "%s", text), warning("other", "", "x"), unchecked("third", "", "x")}, secretsIn(cfg))
	var out strings.Builder
	if err := r.Write(&out); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"s3cret", "pass/word", "pass%2F", "a-key", "\x1b", "\u202e"} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("%q is shown", secret)
		}
	}
	if last := "3 checks: 1 problem, 1 warning\n"; !strings.HasSuffix(out.String(), last) {
		t.Errorf("the last line is not %q\n%s", last, out.String())
	}
	if lines := strings.Count(out.String(), "\n"); lines != 4 {
		t.Errorf("%d lines\n%s", lines, out.String())
	}
	if r.Status != Problem || r.Problems != 1 || r.Warnings != 1 {
		t.Errorf("%s, %d problems, %d warnings", r.Status, r.Problems, r.Warnings)
	}
}
