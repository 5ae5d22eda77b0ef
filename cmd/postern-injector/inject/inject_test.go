package inject_test

import (
	"testing"

	"postern/cmd/postern-injector/inject"
)

func TestInjectedPodIsLeftAloneTheSecondTime(t *testing.T) {
	t.Parallel()
	_, raw, first := mustInject(t, sample(t), inject.Request{}, settings())
	if first.Reason != inject.ReasonInjected || len(first.Patch) == 0 {
		t.Fatalf("first: %+v", first)
	}
	_, _, second := mustInject(t, raw, inject.Request{}, settings())
	if second.Reason != inject.ReasonAlreadyInjected || len(second.Patch) > 0 {
		t.Errorf("second: %+v", second)
	}
}
