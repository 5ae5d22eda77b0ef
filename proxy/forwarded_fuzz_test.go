package proxy

import (
	"bufio"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postern/config"
	"postern/proxy/forward"
)

const (
	trustedPeer   = "10.1.2.3:4567"
	untrustedPeer = "203.0.113.9:4567"
)

// recorder is an app that keeps the headers of the last request that reached it.
type recorder struct{ header http.Header }

func (a *recorder) RoundTrip(r *http.Request) (*http.Response, error) {
	a.header = r.Header.Clone()
	return &http.Response{StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Request: r, Body: http.NoBody, Header: http.Header{}}, nil
}

// forwardedBy is what reaches the app of a raw header block by the real upstream; nil if no server would have taken the request.
func forwardedBy(t testing.TB, f *forwarding, peer, host, block string) (in *http.Request, out http.Header) {
	t.Helper()
	in, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET /orders HTTP/1.1\r\nHost: " + host + "\r\n" + block + "\r\n")))
	if err != nil || forward.CheckTarget(in) != nil || in.Body != http.NoBody {
		return nil, nil
	}
	in.RemoteAddr = peer
	app := new(recorder)
	u := forward.New(forward.Server{Scheme: "http", Host: "app", Transport: app, Withheld: f.withheld}, func(http.Header) {},
		func(_ http.ResponseWriter, _ *http.Request, err forward.Error) { t.Error(err) })
	u.Serve(httptest.NewRecorder(), in, forward.Outgoing{Errand: preparing(f.apply)})
	return in, app.header
}

// forwardedOnly are the headers of hops among those that an app got, in any spelling.
func forwardedOnly(h http.Header) http.Header {
	family := http.Header{}
	for name, values := range h {
		if folded := forward.Fold(name); folded == "forwarded" || strings.HasPrefix(folded, "xforwarded") {
			family[name] = values
		}
	}
	return family
}

func trustingTen() *forwarding {
	return newForwarding(config.Front{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}, true)
}

// FuzzForwarded: from a peer that is not trusted the app hears of hops nothing that the client wrote, but for the Host; of a trusted one it hears the
// six names byte for byte, and no other. peers.md rows 11, 16 and 18.
func FuzzForwarded(f *testing.F) {
	for _, block := range []string{
		"", "X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6;host=evil\r\n", "x_forwarded_host: evil\r\nX.Forwarded.Prefix: /evil\r\n",
		"Connection: X-Forwarded-For, x-forwarded-host\r\nX-Forwarded-For: a\r\nX-Forwarded-For: b\r\n", "X-Forwarded-Uri: /admin\r\nX-Forwarded-Port: 1\r\n",
		"X--Forwarded-For: a\r\n~X-Forwarded: b\r\nFor-Warded: c\r\n", "X-Forwarded-Proto: https, http\r\nFORWARDED: \"[::1]:80\"\r\n", "Connection: Upgrade\r\nUpgrade: websocket\r\n",
	} {
		f.Add("app.example", block)
	}
	f.Add("evil;for=1.2.3.4", "")
	f.Add("[::1]:80", "Forwarded: x\r\n")
	forwarding := trustingTen()
	f.Fuzz(func(t *testing.T, host, block string) {
		if in, out := forwardedBy(t, forwarding, untrustedPeer, host, block); in != nil {
			want := http.Header{"X-Forwarded-For": {"203.0.113.9"}, "X-Forwarded-Host": {in.Host}, "X-Forwarded-Proto": {"http"}}
			if diff := cmp.Diff(want, forwardedOnly(out)); diff != "" {
				t.Errorf("%q %q: %s", host, block, diff)
			}
			if strings.ContainsAny(in.Host, " \t\",;='\\<>()/?#@") {
				t.Errorf("the host %q could be read as more than one", in.Host)
			}
		}
		if in, out := forwardedBy(t, forwarding, trustedPeer, host, block); in != nil {
			want := maps.Clone(in.Header)
			maps.DeleteFunc(want, func(name string, _ []string) bool { return !slices.Contains(forwarding.pass, name) })
			got := forwardedOnly(out)
			// Only these four survive being named in Connection: the others go where hop-by-hop headers go.
			maps.DeleteFunc(want, func(name string, _ []string) bool {
				_, arrived := got[name]
				return !arrived && !slices.Contains(forward.AboutHops[:], name) && in.Header["Connection"] != nil
			})
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%q %q: %s", host, block, diff)
			}
		}
	})
}

// TestAdvisoryCVE2026_57209HostIsNoParameter: peers.md row 11. A Host that could end a parameter is refused before anything is written, and no Forwarded
// header is written at all.
func TestAdvisoryCVE2026_57209HostIsNoParameter(t *testing.T) {
	t.Parallel()
	for _, host := range []string{
		"app;for=1.2.3.4", "app,evil", `app"`, "app evil", "app=evil", "app;host=evil", "app\tevil", "app%3bfor=1", "app/evil", "app@evil", "app\\evil", "app:80;for=1", "[::1;x]",
	} {
		if in, out := forwardedBy(t, trustingTen(), untrustedPeer, host, ""); in != nil {
			t.Errorf("%q came through: %v", host, out)
		}
	}
	in, out := forwardedBy(t, trustingTen(), untrustedPeer, "app.example:8080", "Forwarded: for=1;host=evil\r\n")
	if in == nil || out["Forwarded"] != nil || !slices.Equal(out["X-Forwarded-Host"], []string{"app.example:8080"}) {
		t.Errorf("%v", out)
	}
}

// TestAdvisoryCVE2026_57210OnlyAddressesAreClients: peers.md row 16. The client's address is that of its connection; nothing that a header calls one is
// parsed, believed or passed on.
func TestAdvisoryCVE2026_57210OnlyAddressesAreClients(t *testing.T) {
	t.Parallel()
	for _, claimed := range []string{"unknown", "_obf", `"[::1]:80"`, "10.0.0.1", "::ffff:10.0.0.1", "10.0.0.1, 203.0.113.9", "", ",", `for="10.0.0.1;by=x"`, "<script>"} {
		for _, name := range []string{"X-Forwarded-For", "Forwarded", "X-Real-Ip", "X-Client-Ip", "True-Client-Ip"} {
			in, out := forwardedBy(t, trustingTen(), untrustedPeer, "app", name+": "+claimed+"\r\n")
			if in == nil {
				t.Fatalf("%s: %q was not served", name, claimed)
			}
			if got := out["X-Forwarded-For"]; !slices.Equal(got, []string{"203.0.113.9"}) || out["Forwarded"] != nil {
				t.Errorf("%s: %q became %v %v", name, claimed, got, out["Forwarded"])
			}
		}
	}
}

// TestAdvisoryCVE2024_21494NobodyVouchesForHimself: peers.md rows 15 and 22. Whether a peer is trusted depends on its connection alone, whatever it
// says about where it comes from.
func TestAdvisoryCVE2024_21494NobodyVouchesForHimself(t *testing.T) {
	t.Parallel()
	const claims = "X-Forwarded-For: 10.1.2.3\r\nForwarded: for=10.1.2.3\r\nX-Real-Ip: 10.1.2.3\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n"
	_, out := forwardedBy(t, trustingTen(), untrustedPeer, "app", claims)
	want := http.Header{"X-Forwarded-For": {"203.0.113.9"}, "X-Forwarded-Host": {"app"}, "X-Forwarded-Proto": {"http"}}
	if diff := cmp.Diff(want, forwardedOnly(out)); diff != "" {
		t.Error(diff)
	}
}

// TestAdvisoryCVE2024_24790MappedAddressesAreEqual: peers.md row 21. An IPv4 address is the same one in IPv6 clothes, on either side of the comparison.
func TestAdvisoryCVE2024_24790MappedAddressesAreEqual(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"10.0.0.0/8", "::ffff:10.0.0.0/104"} {
		f := newForwarding(config.Front{TrustedProxies: []netip.Prefix{netip.MustParsePrefix(prefix)}}, true)
		for peer, want := range map[string]bool{
			"10.0.0.1:1": true, "[::ffff:10.0.0.1]:1": true, "[::ffff:0a00:0001]:1": true, "[::ffff:10.0.0.1%eth0]:1": true,
			"11.0.0.1:1": false, "[::ffff:11.0.0.1]:1": false, "[::10.0.0.1]:1": false, "[64:ff9b::10.0.0.1]:1": false, "[2002:0a00:0001::]:1": false,
			"010.0.0.1:1": false, "10.1:1": false,
		} {
			if got := f.trusts(peer); got != want {
				t.Errorf("%s in %s: %v", peer, prefix, got)
			}
		}
	}
	// A prefix of all mapped addresses is one of all of IPv4, and one that is wider is none of IPv4.
	for prefix, want := range map[string]bool{"::ffff:0.0.0.0/96": true, "::/0": false} {
		if got := newForwarding(config.Front{TrustedProxies: []netip.Prefix{netip.MustParsePrefix(prefix)}}, true).trusts(untrustedPeer); got != want {
			t.Errorf("%s: %v", prefix, got)
		}
	}
}

// TestAdvisoryCVE2026_33495ProtoIsOfTheConnection: peers.md row 17.
func TestAdvisoryCVE2026_33495ProtoIsOfTheConnection(t *testing.T) {
	t.Parallel()
	for _, header := range []string{
		"X-Forwarded-Proto: https", "x-forwarded-proto: https", "X_Forwarded_Proto: https", "X-Forwarded-Protocol: https", "X-Forwarded-Ssl: on",
		"X-Forwarded-Scheme: https", "Forwarded: proto=https",
	} {
		_, out := forwardedBy(t, trustingTen(), untrustedPeer, "app", header+"\r\n")
		if got := forwardedOnly(out); len(got) != 3 || !slices.Equal(got["X-Forwarded-Proto"], []string{"http"}) {
			t.Errorf("%s: %v", header, got)
		}
	}
}

// TestAdvisoryCVE2026_35051NoSiblingIsForgotten: peers.md row 18. What is passed on is a list, and every other name of the family is dropped: from
// trusted peers too.
func TestAdvisoryCVE2026_35051NoSiblingIsForgotten(t *testing.T) {
	t.Parallel()
	passed := map[string]bool{"For": true, "Host": true, "Proto": true, "Port": true, "Prefix": true}
	for _, sibling := range []string{
		"For", "Host", "Proto", "Port", "Prefix", "Uri", "Path", "Method", "Server", "Scheme", "Ssl", "By", "Client-Ip", "Tls-Client-Cert", "Tls-Client-Cert-Info", "User",
		"Email", "Groups", "Access-Token", "Original-Uri", "Anything-Newer",
	} {
		block := fmt.Sprintf("X-Forwarded-%s: evil\r\n", sibling)
		if _, out := forwardedBy(t, trustingTen(), untrustedPeer, "app", block); strings.Contains(fmt.Sprint(out), "evil") {
			t.Errorf("untrusted, %s: %v", sibling, out)
		}
		if _, out := forwardedBy(t, trustingTen(), trustedPeer, "app", block); strings.Contains(fmt.Sprint(out), "evil") != passed[sibling] {
			t.Errorf("trusted, %s: %v", sibling, out)
		}
	}
}

// TestAdvisoryCVE2026_76835AnEmptyListTrustsNobody: peers.md row 14.
func TestAdvisoryCVE2026_76835AnEmptyListTrustsNobody(t *testing.T) {
	t.Parallel()
	for _, front := range []config.Front{{}, {TrustedProxiesSet: true}, {TrustedProxies: []netip.Prefix{}}, {TrustedProxies: []netip.Prefix{{}}}} {
		f := newForwarding(front, true)
		for _, peer := range []string{"127.0.0.1:1", "[::1]:1", "10.0.0.1:1", "0.0.0.0:1", "[::]:1", untrustedPeer, "@", ""} {
			if f.trusts(peer) {
				t.Errorf("%+v trusts %q", front, peer)
			}
		}
	}
}

// TestAdvisoryCVE2024_47070LinksComeFromConfiguration: peers.md row 20. A host, forwarded or not, only chooses among the ingresses; links, redirects and
// cookies start with one of these or with nothing.
func TestAdvisoryCVE2024_47070LinksComeFromConfiguration(t *testing.T) {
	t.Parallel()
	all := ingressesAt(t, "https://app.example", "https://other.example/orders")
	for _, host := range []string{
		"evil.example", "app.example.evil", "evilapp.example", "app.example:8443", "app.example@evil", "APP.EXAMPLE.", "", "https://app.example",
		"app.example,evil", "xn--app.example",
	} {
		if in := all.match(host, host, "/orders"); in != nil {
			t.Errorf("%q is %s", host, in.origin)
		}
		if in := all.match("app.example", host, "/orders"); in == nil || in.origin != "https://app.example" {
			t.Errorf("%q changes the ingress to %v", host, in)
		}
	}
}

// preparing is an errand that only changes headers.
type preparing func(out, in *http.Request)

func (p preparing) Prepare(out, in *http.Request)              { p(out, in) }
func (preparing) Answered(*http.Response)                      {}
func (preparing) Opened(*forward.Stream) func(*forward.Ending) { return nil }
