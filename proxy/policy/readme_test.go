package policy

import (
	"os"
	"strings"
	"testing"

	"postern/oidc"
)

// The document of the README loads, and its three callers fare as it says.
func TestREADME(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(readme), "```yaml\n")
	text, _, _ := strings.Cut(after, "```")
	p, warnings, err := Load([]File{{Name: "README.md", Data: []byte(text)}}, Settings{})
	if err != nil || len(warnings) > 0 {
		t.Fatal(warnings, err)
	}
	const tenant = "2d1f8f5a-5a4c-4a3c-9d27-0c6b1f6f3a11"
	listed, other, citizen := entraApp(appB, "access_as_application", "orders.write"), entraApp(appA, "access_as_application", "orders.write"), tokenX(appA)
	listed.Tenant, other.Tenant, citizen.ACR = tenant, tenant, "Level4"
	low := citizen
	low.ACR = "Level3"
	organization := consumer("123456789", "nav:helse/sykepenger/afp.read")
	organization.Audience = []string{"https://my-app.example"}
	for _, test := range []struct {
		method string
		caller oidc.Caller
		want   Reason
	}{
		{"POST", listed, Allowed},
		{"POST", other, RoleNotGranted},
		{"POST", citizen, KindNotAllowed},
		{"GET", citizen, Allowed},
		{"GET", low, LevelTooLow},
		{"GET", organization, Allowed},
		{"POST", organization, ScopeMissing},
	} {
		if d := ask(t, p, test.method, "/orders/7", &test.caller); d.Reason != test.want {
			t.Errorf("%s by %s of %s: %+v; want %s", test.method, test.caller.Kind, test.caller.Provider, d, test.want)
		}
	}
	_, after, _ = strings.Cut(string(readme), "each of these goes before the next:\n\n")
	line, _, _ := strings.Cut(after, "\n")
	last := "~"
	for _, pattern := range strings.Fields(line) {
		segments, err := parsePattern(pattern)
		if rank := rankOf(segments); err != nil || rank >= last {
			t.Errorf("%s does not go after the one before it: %v", pattern, err)
		} else {
			last = rank
		}
	}
}
