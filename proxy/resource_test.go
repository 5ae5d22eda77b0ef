package proxy

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func ingressesAt(t testing.TB, addresses ...string) ingresses {
	t.Helper()
	var urls []*url.URL
	for _, address := range addresses {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		urls = append(urls, u)
	}
	return newIngresses(urls)
}

func TestResourceDocument(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		got  []byte
		want map[string]any
	}{
		"all": {
			resourceDocument(ingressesAt(t, "https://App.example:443/orders/")[0], []string{"https://a.example", "https://b.example/?x=1&y"}, []string{"read", `"odd\`}, "orders"),
			map[string]any{
				"resource": "https://app.example/orders", "authorization_servers": []any{"https://a.example", "https://b.example/?x=1&y"},
				"scopes_supported": []any{"read", `"odd\`}, "bearer_methods_supported": []any{"header"}, "resource_name": "orders",
			},
		},
		"a whole host": {
			resourceDocument(ingressesAt(t, "http://app.localhost:8080/")[0], nil, nil, ""),
			map[string]any{"resource": "http://app.localhost:8080", "bearer_methods_supported": []any{"header"}},
		},
		"without an ingress": {
			resourceDocument(nil, []string{"https://a.example"}, nil, "orders"),
			map[string]any{"authorization_servers": []any{"https://a.example"}, "bearer_methods_supported": []any{"header"}, "resource_name": "orders"},
		},
		"nothing is known yet": {resourceDocument(nil, []string{}, []string{}, ""), map[string]any{"bearer_methods_supported": []any{"header"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got map[string]any
			if err := json.Unmarshal(test.got, &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

const noIngress = "-"

// TestS35ResourceIsTheIngressThatWasMeant: neither Host nor X-Forwarded-Host is ever written; they choose.
func TestS35ResourceIsTheIngressThatWasMeant(t *testing.T) {
	t.Parallel()
	one := ingressesAt(t, "https://app.example")
	below := ingressesAt(t, "https://app.example/orders")
	several := ingressesAt(t, "https://app.example/orders", "https://app.example/orders/old", "https://other.example/orders", "https://app.example", "https://third.example")
	for name, test := range map[string]struct {
		all                   ingresses
		host, forwarded, path string
		want                  string // the resource, "" if the path is the app's, or noIngress
	}{
		"root":                              {one, "app.example", "", pathResource, "https://app.example"},
		"root, default port, other case":    {one, "APP.example:443", "", pathResource, "https://app.example"},
		"root, service name":                {one, "app.team-a", "", pathResource, "https://app.example"},
		"root, host of an attacker":         {one, "evil.example", "evil.example", pathResource, "https://app.example"},
		"root, no ingress":                  {nil, "evil.example", "", pathResource, noIngress},
		"no ingress, something after it":    {nil, "app.example", "", pathResource + "/orders", ""},
		"root of an ingress with a path":    {below, "app.example", "", pathResource, "https://app.example/orders"},
		"inserted":                          {below, "app.example", "", pathResource + "/orders", "https://app.example/orders"},
		"below the path":                    {below, "app.example", "", "/orders" + pathResource, "https://app.example/orders"},
		"below the path, service name":      {below, "app.team-a", "", "/orders" + pathResource, "https://app.example/orders"},
		"slash at the end":                  {below, "app.example", "", pathResource + "/", ""},
		"inserted, slash at the end":        {below, "app.example", "", pathResource + "/orders/", ""},
		"another path":                      {below, "app.example", "", pathResource + "/secret", ""},
		"below another path":                {below, "app.example", "", "/secret" + pathResource, ""},
		"half a segment":                    {below, "app.example", "", pathResource + "/order", ""},
		"a longer name":                     {one, "app.example", "", pathResource + "s", ""},
		"on both sides":                     {below, "app.example", "", "/orders" + pathResource + "/orders", ""},
		"escaped":                           {one, "app.example", "", "/.well-known/oauth%2dprotected-resource", ""},
		"other case":                        {one, "app.example", "", "/.well-known/OAuth-protected-resource", ""},
		"doubled slash":                     {one, "app.example", "", "/" + pathResource, ""},
		"something else":                    {one, "app.example", "", "/.well-known/openid-configuration", ""},
		"several, root":                     {several, "app.example", "", pathResource, "https://app.example"},
		"several, root of another host":     {several, "other.example", "", pathResource, "https://other.example/orders"},
		"several, root of a third":          {several, "third.example", "", pathResource, "https://third.example"},
		"several, inserted":                 {several, "app.example", "", pathResource + "/orders", "https://app.example/orders"},
		"several, inserted, another host":   {several, "other.example", "", pathResource + "/orders", "https://other.example/orders"},
		"several, inserted, longest":        {several, "app.example", "", pathResource + "/orders/old", "https://app.example/orders/old"},
		"several, below":                    {several, "other.example", "", "/orders" + pathResource, "https://other.example/orders"},
		"forwarded chooses":                 {several, "10.0.0.1:7564", "other.example", "/orders" + pathResource, "https://other.example/orders"},
		"forwarded never beats a known one": {several, "app.example", "other.example", "/orders" + pathResource, "https://app.example/orders"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in, ok := resourcePath(test.path, test.all, test.host, test.forwarded)
			got := ""
			switch {
			case ok && in == nil:
				got = noIngress
			case ok:
				got = in.url("")
			case in != nil:
				t.Error("an ingress for a path of the app")
			}
			if got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

func TestS35ResourceMetadataURL(t *testing.T) {
	t.Parallel()
	for want, in := range map[string]*ingress{
		"": nil,
		"https://app.example/.well-known/oauth-protected-resource":        ingressesAt(t, "https://app.example/")[0],
		"https://app.example/orders/.well-known/oauth-protected-resource": ingressesAt(t, "https://app.example/orders")[0],
	} {
		got := resourceMetadataURL(in)
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if in == nil {
			continue
		}
		// What a challenge names is an endpoint, and that of the same ingress.
		path := strings.TrimPrefix(got, in.origin)
		if back, ok := resourcePath(path, ingresses{in}, in.host, ""); !ok || back != in {
			t.Errorf("%q leads nowhere", got)
		}
	}
}

func TestResourceIsForScriptsOfAnyOrigin(t *testing.T) {
	t.Parallel()
	document := resourceDocument(nil, nil, nil, "orders")
	w := httptest.NewRecorder()
	noStore(w.Header())
	serveResource(w, document)
	want := http.Header{
		"Content-Type": {"application/json"}, "Cache-Control": {"public, max-age=300"}, "Access-Control-Allow-Origin": {"*"},
		"Access-Control-Allow-Methods": {"GET, HEAD, OPTIONS"}, "Access-Control-Allow-Headers": {"*"},
	}
	if diff := cmp.Diff(want, w.Result().Header); diff != "" || w.Code != http.StatusOK || w.Body.String() != string(document) {
		t.Errorf("%d %q %s", w.Code, w.Body, diff)
	}
}

func FuzzResourcePath(f *testing.F) {
	all := ingressesAt(f, "https://app.example/orders", "https://other.example")
	for _, path := range []string{pathResource, pathResource + "/orders", "/orders" + pathResource, "//" + pathResource, pathResource + pathResource, "/"} {
		f.Add("app.example", path)
	}
	f.Fuzz(func(t *testing.T, host, path string) {
		in, ok := resourcePath(path, all, host, host)
		if ok != (path == pathResource || path == pathResource+"/orders" || path == "/orders"+pathResource) || ok != (in != nil) {
			t.Errorf("%q %q: %v %v", host, path, in, ok)
		}
	})
}
