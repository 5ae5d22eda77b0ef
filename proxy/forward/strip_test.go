package forward

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/quick"
)

// spellings are names that some app takes for name.
func spellings(name string) []string {
	return []string{
		name, strings.ToLower(name), strings.ToUpper(name), strings.ReplaceAll(name, "-", "_"), strings.ReplaceAll(name, "-", "."),
		strings.ReplaceAll(name, "-", "~"), strings.ReplaceAll(name, "-", "|"), strings.ReplaceAll(name, "-", ""), "_" + name, name + "-",
		strings.ToLower(strings.ReplaceAll(name, "-", "_")), strings.Replace(name, "-", "_", 1), strings.ReplaceAll(name, "-", "--"), "!#" + name,
	}
}

var spoofed = []string{
	"X-Postern-User", "X-Postern-Anything-Newer", "X-Wonderwall-Id-Token", "X-MS-CLIENT-PRINCIPAL", "X-MS-CLIENT-PRINCIPAL-ID",
	"X-MS-TOKEN-AAD-ID-TOKEN", "X-Auth-Request-User", "X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Groups",
	"X-Forwarded-Preferred-Username", "X-Forwarded-Access-Token", "X-Forwarded-Id-Token", "Remote-User", "X-Remote-User", "Remote-Groups",
	"X-Employee", "X-Orders-Token",
}

var innocent = []string{
	"Accept", "Authorization", "Cookie", "X-Request-Id", "X-Forwarded-For", "X-Forwarded-Host", "X-Post", "X-M", "X-Ms-Version", "Remote",
	"Remote-Users-Count", "X-Auth-Token", "Xpo", "-", "~", "X-Employees", "Referer", strings.Repeat("X-", 200),
}

// TestAdvisoryCVE2025_64484ManagedNamesInAnySpelling: peers.md rows 1, 2, 3 and 5; S-24.
func TestAdvisoryCVE2025_64484ManagedNamesInAnySpelling(t *testing.T) {
	t.Parallel()
	m := NewManaged([]string{"X-Employee", "x-orders-token", ""})
	for _, name := range spoofed {
		for _, spelling := range spellings(name) {
			h := http.Header{spelling: {"admin"}, "Accept": {"*/*"}}
			if m.Strip(h); len(h) != 1 {
				t.Errorf("%q survived", spelling)
			}
		}
	}
	h := http.Header{}
	for _, name := range innocent {
		h[name] = []string{"1"}
	}
	before := maps.Clone(h)
	m.Strip(h)
	for name := range before {
		if _, ok := h[name]; !ok {
			t.Errorf("%.40q was taken", name)
		}
	}
}

// TestS24OverTheWire sends the corpus through a real server: what net/http makes of the names is part of the answer.
func TestS24OverTheWire(t *testing.T) {
	t.Parallel()
	app := newRawApp(t, okAnswer)
	m := NewManaged([]string{"X-Employee", "X-Orders-Token"})
	server := newFront(t, there{Host: app.address, Withheld: m}, Outgoing{})
	var request strings.Builder
	request.WriteString("GET / HTTP/1.1\r\nHost: app\r\nConnection: close\r\nX-Innocent: 1\r\n")
	for _, name := range spoofed {
		for _, spelling := range spellings(name) {
			fmt.Fprintf(&request, "%s: evil-value\r\n", spelling)
		}
	}
	if status, _, _ := send(t, server.Server, request.String()+"\r\n"); status != 200 {
		t.Fatal(status)
	}
	head := app.requests()[0]
	if strings.Contains(head, "evil-value") || !strings.Contains(head, "X-Innocent: 1") {
		t.Errorf("the app saw %q", head)
	}
}

// TestAdvisoryCVE2026_29054ConnectionCannotRemoveOurs: peers.md rows 6 to 9.
func TestAdvisoryCVE2026_29054ConnectionCannotRemoveOurs(t *testing.T) {
	t.Parallel()
	for name, connection := range map[string]string{
		"exact":       "Connection: X-Postern-User, Authorization, X-Forwarded-For\r\n",
		"lower case":  "Connection: x-postern-user,authorization\r\n",
		"mixed":       "Connection: X-pOSTERN-uSER\r\nConnection: AUTHORIZATION\r\n",
		"empty first": "Connection: \r\nConnection: X-Postern-User, close\r\n",
		"with close":  "Connection: close, X-Postern-User\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := newRawApp(t, okAnswer)
			server := newFront(t, there{Host: app.address, Withheld: NewManaged(nil)}, Outgoing{Errand: preparing(func(out, _ *http.Request) {
				out.Header["X-Postern-User"] = []string{"anna"}
				out.Header["Authorization"] = []string{"Bearer ours"}
			})})
			send(t, server.Server, "GET / HTTP/1.1\r\nHost: app\r\n"+connection+"X-Postern-User: eve\r\nAuthorization: Bearer eves\r\n\r\n")
			head := app.requests()[0]
			for _, want := range []string{"X-Postern-User: anna\r\n", "Authorization: Bearer ours\r\n"} {
				if !strings.Contains(head, want) {
					t.Errorf("%q is missing in %q", want, head)
				}
			}
			if strings.Contains(head, "eve") {
				t.Errorf("the app saw %q", head)
			}
		})
	}
}

func TestS12RoutingHeaders(t *testing.T) {
	t.Parallel()
	names := []string{
		"X-Original-URL", "X-Original-URI", "X-Rewrite-URL", "X-Forwarded-Uri", "X-Forwarded-Path", "X-Forwarded-Method",
		"X-Envoy-Original-Path", "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override",
	}
	all, some := NewRouting(nil), NewRouting([]string{"x-http-method-override"})
	for _, name := range names {
		for _, spelling := range spellings(name) {
			h := http.Header{spelling: {"/admin"}}
			if all.Strip(h); len(h) != 0 {
				t.Errorf("%q survived", spelling)
			}
			h = http.Header{spelling: {"/admin"}}
			if some.Strip(h); (len(h) == 1) != (name == "X-HTTP-Method-Override") {
				t.Errorf("with an exception: %q, left %v", spelling, h)
			}
			h = http.Header{spelling: {"/admin"}}
			if NewManaged(nil).Strip(h); len(h) != 1 {
				t.Errorf("%q is removed from apps that decide for themselves", spelling)
			}
		}
	}
	if h := (http.Header{"X-Postern-User": {"a"}}); true {
		if all.Strip(h); len(h) != 1 {
			t.Error("the sets are separate")
		}
	}
}

func TestUnionHasEveryNameOfItsSets(t *testing.T) {
	t.Parallel()
	sets := []*Names{NewManaged([]string{"X-Employee"}), NewRouting([]string{"X-HTTP-Method"}), NewForwarded()}
	all := Union(sets...)
	for _, name := range append(append(slices.Clone(spoofed), innocent...), "X-Original-URL", "X-HTTP-Method", "Forwarded", "X-Forwarded-Anything", "x~forwarded") {
		if want := slices.ContainsFunc(sets, func(set *Names) bool { return set.Has(name) }); all.Has(name) != want {
			t.Errorf("%.40q: %v", name, !want)
		}
	}
}

// TestFoldIsWhatItSays compares the allocation-free look-up with the plain definition.
func TestFoldIsWhatItSays(t *testing.T) {
	t.Parallel()
	m := NewManaged([]string{"X-Employee", strings.Repeat("long-", 40)})
	plain := func(name string) bool {
		folded := Fold(name)
		return slices.ContainsFunc(managedFamilies[:], func(f string) bool { return strings.HasPrefix(folded, f) }) ||
			slices.Contains(managedNames[:], folded) || folded == "xemployee" || folded == strings.Repeat("long", 40)
	}
	check := func(noise []byte, pick uint8, cut uint8) bool {
		names := append(append(slices.Clone(spoofed), innocent...), strings.Repeat("Long-", 40), strings.Repeat("long", 41))
		name := names[int(pick)%len(names)]
		at := int(cut) % (len(name) + 1)
		name = name[:at] + string(noise) + name[at:]
		return m.Has(name) == plain(name)
	}
	if err := quick.Check(check, &quick.Config{MaxCount: 5000}); err != nil {
		t.Error(err)
	}
}

func FuzzManaged(f *testing.F) {
	m := NewManaged([]string{"X-Employee"})
	for _, name := range append(slices.Clone(spoofed), innocent...) {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		folded := Fold(name)
		if strings.HasPrefix(folded, "xpostern") && !m.Has(name) {
			t.Fatalf("%q passes", name)
		}
		if m.Has(name) && !m.Has(folded) {
			t.Fatalf("%q is managed, %q is not", name, folded)
		}
	})
}

func twentyHeaders() http.Header {
	h := http.Header{}
	for _, name := range []string{
		"Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Cache-Control", "Cookie", "Content-Type", "If-None-Match", "Origin",
		"Referer", "Sec-Ch-Ua", "Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site", "Traceparent", "User-Agent", "X-Forwarded-For",
		"X-Forwarded-Host", "X-Forwarded-Proto", "X-Request-Id",
	} {
		h[name] = []string{"a value of ordinary length"}
	}
	return h
}

func TestStripAllocatesNothing(t *testing.T) {
	m, routing, h := NewManaged([]string{"X-Employee"}), NewRouting(nil), twentyHeaders()
	if n := testing.AllocsPerRun(100, func() { m.Strip(h); routing.Strip(h) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkStrip(b *testing.B) {
	m, h := NewManaged([]string{"X-Employee"}), twentyHeaders()
	b.ReportAllocs()
	for b.Loop() {
		m.Strip(h)
	}
}
