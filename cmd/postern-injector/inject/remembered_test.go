package inject_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postern/cmd/postern-injector/inject"
)

// What is remembered of one pod must change nothing for another: each answer is that of settings that have seen nothing yet.
func TestAnswersDoNotDependOnEarlierPods(t *testing.T) {
	t.Parallel()
	var pods [][]byte
	for n := range 400 { // more good kinds than are remembered, and each of them twice
		changes := []func(pod, meta, spec, app map[string]any){annotate("log-level", []string{"info", "debug", "loud", "error"}[n%4], "ignore-paths", fmt.Sprintf("/p%d", n))}
		if n%5 == 0 {
			changes = append(changes, annotate("provider", "openid", "ingress", "https://app.example.org"))
		}
		if n%10 == 0 {
			changes = append(changes, annotate("secrets", "client"))
		}
		pods = append(pods, sample(t, changes...))
	}
	answer := func(pod []byte, s *inject.Settings) string {
		result, err := inject.Inject(pod, inject.Request{Asked: inject.ByPod}, s)
		return fmt.Sprintf("%s %q %q %v", result.Reason, result.Patch, result.Warnings, err)
	}
	shared, err := inject.ReadSettings([]byte("image: " + testImage + "\nallowed-images: [\"registry.example.org/beta/postern@*\"]\n"))
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	var wait sync.WaitGroup
	for n, pod := range pods {
		want := answer(pod, settings())
		if !strings.HasSuffix(want, "<nil>") {
			refused++
		}
		for range 2 {
			wait.Go(func() {
				if diff := cmp.Diff(want, answer(pod, shared)); diff != "" {
					t.Errorf("pod %d (-alone +after others):\n%s", n, diff)
				}
			})
		}
	}
	wait.Wait()
	if refused < 80 || len(pods)-refused < 257 {
		t.Errorf("%d of %d pods are refused: the sample shows too little", refused, len(pods))
	}
}
