package proxy

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postern/config"
	"postern/proxy/forward"
)

// withoutHops is what package forward leaves of a client's headers.
func withoutHops(h http.Header) http.Header {
	h = h.Clone()
	for _, name := range forward.AboutHops {
		h.Del(name)
	}
	return h
}

func TestS13ForwardedHeaders(t *testing.T) {
	t.Parallel()
	sent := http.Header{
		"Forwarded":           {"for=1.2.3.4", "for=5.6.7.8;proto=https"},
		"X-Forwarded-For":     {"1.2.3.4", "5.6.7.8"},
		"X-Forwarded-Host":    {"public.example"},
		"X-Forwarded-Proto":   {"https"},
		"X-Forwarded-Port":    {"443"},
		"X-Forwarded-Prefix":  {"/app"},
		"X-Forwarded-Uri":     {"/admin"},
		"X-Forwarded-Server":  {"x"},
		"X_forwarded_for":     {"6.6.6.6"},
		"X.forwarded.prefix":  {"/evil"},
		"X-Real-Ip":           {"1.2.3.4"},
		"Forwarded-By-Nobody": {"1"},
	}
	passed := http.Header{
		"Forwarded": sent["Forwarded"], "X-Forwarded-For": sent["X-Forwarded-For"], "X-Forwarded-Host": sent["X-Forwarded-Host"],
		"X-Forwarded-Proto": sent["X-Forwarded-Proto"], "X-Forwarded-Port": sent["X-Forwarded-Port"], "X-Forwarded-Prefix": sent["X-Forwarded-Prefix"],
		"X-Real-Ip": sent["X-Real-Ip"], "Forwarded-By-Nobody": sent["Forwarded-By-Nobody"],
	}
	written := func(peer string) http.Header {
		h := http.Header{
			"X-Forwarded-Host": {"app.example"}, "X-Forwarded-Proto": {"http"},
			"X-Real-Ip": sent["X-Real-Ip"], "Forwarded-By-Nobody": sent["Forwarded-By-Nobody"],
		}
		if peer != "" {
			h["X-Forwarded-For"] = []string{peer}
		}
		return h
	}
	with := func(h http.Header, name string) http.Header {
		h = h.Clone()
		h[name] = sent[name]
		return h
	}
	private := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("::ffff:192.168.0.0/112")}
	for name, test := range map[string]struct {
		front     config.Front
		protected bool
		peer      string
		want      http.Header
	}{
		"drop-in passes all":           {config.Front{TrustedProxies: private}, false, "9.9.9.9:1", sent},
		"trusted peer":                 {config.Front{TrustedProxies: private}, true, "10.1.2.3:1", passed},
		"trusted, mapped":              {config.Front{TrustedProxies: private}, true, "[::ffff:10.1.2.3]:1", passed},
		"trusted, mapped prefix":       {config.Front{TrustedProxies: private}, true, "192.168.3.4:1", passed},
		"trusted, zone":                {config.Front{TrustedProxies: private}, true, "[fe80::1%eth0]:1", passed},
		"trusted, exception":           {config.Front{TrustedProxies: private, ForwardHeaders: []string{"x-forwarded-uri", "x-forwarded-user"}}, true, "10.1.2.3:1", with(passed, "X-Forwarded-Uri")},
		"untrusted peer":               {config.Front{TrustedProxies: private}, true, "127.0.0.1:1", written("127.0.0.1")},
		"untrusted, mapped":            {config.Front{TrustedProxies: private}, true, "[::ffff:127.0.0.1]:1", written("127.0.0.1")},
		"untrusted, exception":         {config.Front{TrustedProxies: private, ForwardHeaders: []string{"X-Forwarded-Uri"}}, true, "9.9.9.9:1", written("9.9.9.9")},
		"untrusted, IPv6":              {config.Front{TrustedProxies: private}, true, "[2001:db8::1]:1", written("2001:db8::1")},
		"nobody trusted":               {config.Front{}, true, "127.0.0.1:1", written("127.0.0.1")},
		"list given without a policy":  {config.Front{TrustedProxies: private, TrustedProxiesSet: true}, false, "9.9.9.9:1", written("9.9.9.9")},
		"empty list without a policy":  {config.Front{TrustedProxiesSet: true}, false, "10.1.2.3:1", written("10.1.2.3")},
		"Unix socket is not trusted":   {config.Front{TrustedProxies: private}, true, "@", written("")},
		"no address is not trusted":    {config.Front{TrustedProxies: private}, true, "", written("")},
		"nonsense is not an address":   {config.Front{TrustedProxies: private}, true, "10.1.2.3", written("")},
		"a name is not looked up here": {config.Front{TrustedProxies: private}, true, "localhost:80", written("")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := httptest.NewRequest("GET", "http://app.example/", nil)
			in.RemoteAddr, in.Header = test.peer, sent.Clone()
			out := in.Clone(t.Context())
			out.Header = withoutHops(sent)
			f := newForwarding(test.front, test.protected)
			f.withheld.Strip(out.Header)
			f.apply(out, in)
			if diff := cmp.Diff(test.want, out.Header); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(sent, in.Header); diff != "" {
				t.Error("the client's request was changed: " + diff)
			}
		})
	}
}

func TestS13ProtoOfATLSListener(t *testing.T) {
	t.Parallel()
	in := httptest.NewRequest("GET", "/", nil)
	in.TLS = &tls.ConnectionState{}
	out := in.Clone(t.Context())
	newForwarding(config.Front{}, true).apply(out, in)
	if got := out.Header.Get("X-Forwarded-Proto"); got != "https" {
		t.Error(got)
	}
}

// TestS13OverTheWire: nothing that a client names hop-by-hop takes away what is written.
func TestS13OverTheWire(t *testing.T) {
	t.Parallel()
	app := new(recorder)
	f := newForwarding(config.Front{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}, true)
	u := forward.New(forward.Server{Scheme: "http", Host: "app", Transport: app, Withheld: f.withheld}, func(http.Header) {},
		func(_ http.ResponseWriter, _ *http.Request, err forward.Error) { t.Error(err) })
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.Serve(w, r, forward.Outgoing{Errand: preparing(f.apply)})
	}))
	t.Cleanup(server.Close)
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: app\r\nConnection: close, X-Forwarded-For\r\nX-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\n\r\n")
	_, _ = io.Copy(io.Discard, conn)
	if got := app.header["X-Forwarded-For"]; !slices.Equal(got, []string{"127.0.0.1"}) || app.header["Forwarded"] != nil {
		t.Errorf("the app saw %q", app.header)
	}
}

func FuzzPeerAddr(f *testing.F) {
	for _, seed := range []string{"1.2.3.4:5", "[::1]:2", "[::ffff:1.2.3.4]:5", "[fe80::1%eth0]:1", "@", "", "a:b", "1.2.3.4"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, remote string) {
		if addr := peerAddr(remote); addr.IsValid() && (addr.Zone() != "" || addr.Is4In6()) {
			t.Fatalf("%q became %v", remote, addr)
		}
	})
}

func TestPeersAreKnownAgain(t *testing.T) {
	t.Parallel()
	var known peers
	var wait sync.WaitGroup
	for range 4 { // more connections than are remembered, at once
		wait.Go(func() {
			for n := range 4 * len(known) {
				remote := fmt.Sprintf("10.0.%d.%d:%d", n/256, n%256, 1000+n)
				if got := known.of(remote); got.remoteAddr != remote || got.addr != peerAddr(remote) || !slices.Equal(got.value, []string{got.addr.String()}) {
					t.Errorf("%s is known as %v", remote, got)
				}
			}
		})
	}
	wait.Wait()
	if got := known.of("@"); got.addr.IsValid() || got.value != nil {
		t.Errorf("a peer without an address is known as %v", got)
	}
}
