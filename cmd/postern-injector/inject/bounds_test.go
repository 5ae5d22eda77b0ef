package inject_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"postern/cmd/postern-injector/inject"
)

func repeated(n int, f func(n int) string) string {
	all := make([]string, n)
	for i := range all {
		all[i] = f(i)
	}
	return strings.Join(all, ",")
}

// Whoever may create pods must not be able to take the injector's memory: an empty toleration of 3 bytes is 80 bytes in Kubernetes' types.
func TestPodsOfTooManyPartsAreNotDecoded(t *testing.T) {
	t.Parallel()
	empty := func(int) string { return `{}` }
	for name, list := range map[string]string{
		"tolerations":     `"tolerations":[` + repeated(900_000, empty) + `]`,
		"host aliases":    `"hostAliases":[` + repeated(900_000, empty) + `]`,
		"volumes":         `"volumes":[` + repeated(100_000, func(int) string { return `{"name":"","emptyDir":{}}` }) + `]`,
		"init containers": `"initContainers":[` + repeated(50_000, func(n int) string { return fmt.Sprintf(`{"name":"a%d","resources":{}}`, n) }) + `]`,
		"unknown numbers": `"x":[` + repeated(900_000, func(int) string { return `1` }) + `]`,
	} {
		pod := strings.Replace(string(sample(t)), `"spec":{`, `"spec":{`+list+`,`, 1)
		r := refusal(t, []byte(pod), inject.Request{}, settings())
		if !slices.Equal(r.Codes(), []string{"invalid_pod"}) || !strings.Contains(r.Error(), "more than 100000 names") {
			t.Errorf("%s: %v: %.200s", name, r.Codes(), r)
		}
	}
}

// Nor its time: to look for the nearest key, and for an equal problem, costs more with every problem that there is.
func TestProblemsAreCountedOnlySoFar(t *testing.T) {
	t.Parallel()
	const many = 20_000
	for name, pod := range map[string]string{
		"unknown annotations": strings.Replace(string(sample(t)), `"annotations":{`,
			`"annotations":{`+repeated(many, func(n int) string { return fmt.Sprintf(`"postern.dev/ingres%x":""`, n) })+`,`, 1),
		"unknown labels": strings.Replace(string(sample(t)), `"labels":{`,
			`"labels":{`+repeated(many, func(n int) string { return fmt.Sprintf(`"postern.dev/injecte%x":""`, n) })+`,`, 1),
		"ports": strings.Replace(string(sample(t)), `"spec":{`, `"spec":{"initContainers":[{"name":"a","ports":[`+
			repeated(many/2, func(n int) string { return fmt.Sprintf(`{"containerPort":7564,"name":"p%x"}`, n) })+`]}],`, 1),
	} {
		r := refusal(t, []byte(pod), inject.Request{}, settings())
		if len(r.Problems) > 100 || !strings.Contains(r.Error(), "and 80 more at least") {
			t.Errorf("%s: %d problems: %s", name, len(r.Problems), r)
		}
	}
	warned := strings.Replace(string(sample(t, annotate("tokens", "tokenx", "secrets", "s"))), `"spec":{`, `"spec":{"initContainers":[`+
		repeated(5_000, func(n int) string {
			return fmt.Sprintf(`{"name":"a%d","env":[{"name":"NAIS_TOKEN_ENDPOINT","value":"x"}]}`, n)
		})+`],`, 1)
	if _, _, result := mustInject(t, []byte(warned), inject.Request{}, settings()); len(result.Warnings) > 100 {
		t.Errorf("%d warnings", len(result.Warnings))
	}
}
