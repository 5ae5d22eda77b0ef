package inject

import "testing"

func TestEnvironmentsAreToldApart(t *testing.T) {
	t.Parallel()
	seen := map[[32]byte][]string{}
	for _, environ := range [][]string{{}, {""}, {"", ""}, {"A=1", "B=2"}, {"A=1\x00B=2"}, {"A=1B=2"}, {"A=1", "B=", "2"}, {"B=2", "A=1"}} {
		key := keyOf(environ)
		if other, known := seen[key]; known {
			t.Errorf("%q is taken for %q", environ, other)
		}
		seen[key] = environ
	}
}
