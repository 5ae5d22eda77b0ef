package forward

import (
	"maps"
	"net/http"
	"slices"
)

// managedFamilies and managedNames are what Postern says about a caller, and what other gateways say that an app may believe: a client must not
// be able to say it (S-24). Folded: see [fold].
var (
	managedFamilies = [...]string{"xpostern", "xwonderwall", "xmsclientprincipal", "xmstoken", "xauthrequest"}
	managedNames    = [...]string{
		"xforwardeduser", "xforwardedemail", "xforwardedgroups", "xforwardedpreferredusername", "xforwardedaccesstoken", "xforwardedidtoken",
		"remoteuser", "xremoteuser", "remotegroups",
	}

	// routingNames make an app act on another path or method than the one that was decided on (S-12).
	routingNames = [...]string{
		"xoriginalurl", "xoriginaluri", "xrewriteurl", "xforwardeduri", "xforwardedpath", "xforwardedmethod", "xenvoyoriginalpath",
		"xhttpmethodoverride", "xhttpmethod", "xmethodoverride",
	}
)

// Names is a set of header names to be removed in any spelling: "X-Postern-User", "x_postern_user" and "X.Postern~User" are one name to
// some app (CGI and WSGI fold bytes, PHP too). It is made once and safe for concurrent use; nil is the empty set.
type Names struct {
	families []string
	names    map[string]struct{}
	longest  int
	initials [256]bool // first bytes of folded names, to be done with most headers at once
}

// NewManaged is the set of the names that Postern manages, and those that the operator made it manage ("identity.claims", "upstream-tokens").
func NewManaged(extra []string) *Names {
	m := newNames(managedFamilies[:], managedNames[:])
	for _, name := range extra {
		m.add(Fold(name))
	}
	return m
}

// NewRouting is the set of S-12 without the exceptions of "forward-headers". It is for apps that rely on Postern's decision, by a policy
// or by require-auth; other apps get these headers as they came.
func NewRouting(forward []string) *Names {
	m := newNames(nil, routingNames[:])
	for _, name := range forward {
		delete(m.names, Fold(name))
	}
	return m
}

// NewForwarded is Forwarded and every X-Forwarded-*, known or not.
func NewForwarded() *Names { return newNames([]string{"xforwarded"}, []string{"forwarded"}) }

// NewAddresses are the other headers by which proxies tell each other a client's address.
func NewAddresses() *Names {
	return newNames(nil, []string{"xrealip", "xclientip", "xclusterclientip", "trueclientip", "cfconnectingip", "fastlyclientip"})
}

// Union is every name that one of the sets has.
func Union(sets ...*Names) *Names {
	all := newNames(nil, nil)
	for _, set := range sets {
		all.families = append(all.families, set.families...)
		maps.Copy(all.names, set.names)
		all.longest = max(all.longest, set.longest)
		for c, is := range set.initials {
			all.initials[c] = all.initials[c] || is
		}
	}
	return all
}

func newNames(families, names []string) *Names {
	m := &Names{families: slices.Clone(families), names: map[string]struct{}{}}
	for _, family := range families {
		m.initials[family[0]] = true
		m.longest = max(m.longest, len(family))
	}
	for _, name := range names {
		m.add(name)
	}
	return m
}

func (m *Names) add(folded string) {
	if folded == "" {
		return
	}
	m.names[folded] = struct{}{}
	m.longest = max(m.longest, len(folded))
	m.initials[folded[0]] = true
}

// Strip removes every header of the set, where no [Server] withholds it. It allocates nothing.
func (m *Names) Strip(h http.Header) {
	for name := range h {
		if m.Has(name) {
			delete(h, name) // as it stands: h.Del would look for the canonical spelling
		}
	}
}

// foldBuffer is longer than any managed name that a reasonable operator makes up; longer ones are compared on the heap.
const foldBuffer = 96

// Has says whether a name folds to one of the set.
func (m *Names) Has(name string) bool {
	if m == nil {
		return false
	}
	start := 0
	for start < len(name) && !isAlphanumeric(name[start]) {
		start++
	}
	if start == len(name) || !m.initials[lower(name[start])] {
		return false
	}
	var buffer [foldBuffer]byte
	folded := buffer[:0]
	for i := start; i < len(name); i++ {
		if !isAlphanumeric(name[i]) {
			continue
		}
		if len(folded) > m.longest { // longer than every name: only the families matter any more
			break
		}
		folded = append(folded, lower(name[i]))
	}
	for _, family := range m.families {
		if len(folded) >= len(family) && string(folded[:len(family)]) == family {
			return true
		}
	}
	_, found := m.names[string(folded)]
	return found
}

// Fold removes every byte that is no letter or digit, and case.
func Fold(name string) string {
	folded := make([]byte, 0, len(name))
	for i := range len(name) {
		if isAlphanumeric(name[i]) {
			folded = append(folded, lower(name[i]))
		}
	}
	return string(folded)
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
