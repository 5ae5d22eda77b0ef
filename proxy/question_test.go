package proxy

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"postern/proxy/forward"
)

func TestS16QuestionOfAnIngress(t *testing.T) {
	t.Parallel()
	const original, forwarded = "X-Original-Method|GET|X-Original-Url|", "X-Forwarded-Method|GET|X-Forwarded-Uri|"
	for headers, want := range map[string]struct {
		asked   string // method, host and target
		told    bool
		unclear bool
	}{
		"":                                  {" postern /", false, false},
		original + "/a?b":                   {"GET postern /a?b", true, false},
		original + "https://app.example/a?": {"GET app.example /a?", true, false},
		original + "HTTP://app.example:8080//a/../b%2f": {"GET app.example:8080 //a/../b%2f", true, false},
		original + "https://app.example":                {"GET app.example /", true, false},
		original + "https://app.example?a=/b":           {"GET app.example /?a=/b", true, false},
		original + "/a?to=https://evil.example/":        {"GET postern /a?to=https://evil.example/", true, false},
		original + "/a|X-Forwarded-Host|app.example":    {"GET app.example /a", true, false},
		original + "https://a/x|X-Forwarded-Host|b":     {"GET a /x", true, false},
		forwarded + "/a|X-Forwarded-Host|app.example":   {"GET app.example /a", true, false},
		"X-Forwarded-Method|OPTIONS|X-Forwarded-Uri|*":  {"OPTIONS postern *", true, false},
		original + "/a|" + forwarded + "/a":             {"GET postern /a", true, false},
		original + "https://h/a|" + forwarded + "/a":    {"GET h /a", true, false},

		original + "/a|" + forwarded + "/A":           {unclear: true},
		original + "/a|X-Forwarded-Method|GET":        {unclear: true},
		forwarded + "/a|X-Original-Url|/a":            {unclear: true},
		"X-Original-Method|G ET|X-Original-Url|/a":    {unclear: true},
		"X-Original-Method||X-Original-Url|/a":        {unclear: true},
		"X-Original-Method|GET":                       {unclear: true},
		"X-Original-Url|/a":                           {unclear: true},
		original + "":                                 {unclear: true},
		original + "a":                                {unclear: true},
		original + "/a%zz":                            {unclear: true},
		original + "/a|X-Original-Url|/a":             {unclear: true},
		original + "/a|X-Original-Method|GET":         {unclear: true},
		original + "/a|X-Forwarded-Uri|/a":            {unclear: true},
		original + "ftp://app.example/a":              {"GET postern ftp://app.example/a", true, false}, // refused as a target
		original + "https://a@app.example/a":          {"GET a@app.example /a", true, false},            // refused as a host
		original + "https:///a":                       {"GET postern /a", true, false},
		"X_Original_Method|GET|X_Original_Url|/a":     {" postern /", false, false},
		"X-Original-Method|GET|X-Original-Uri|/a":     {unclear: true},
		"X-Rewrite-Url|/a|X-Http-Method-Override|PUT": {" postern /", false, false},
	} {
		t.Run(headers, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest("POST", "http://postern/oauth2/session/forwardauth", strings.NewReader("body"))
			parts := strings.Split(headers, "|")
			for i := 0; i+1 < len(parts); i += 2 {
				r.Header[parts[i]] = append(r.Header[parts[i]], parts[i+1])
			}
			q := readQuestion(r)
			if !q.unclear && q.told != want.told || q.unclear != want.unclear {
				t.Fatalf("told %t, unclear %t", q.told, q.unclear)
			}
			if got := q.asked.Method + " " + q.asked.Host + " " + q.asked.RequestURI; !q.unclear && got != want.asked {
				t.Errorf("asked for %q, want %q", got, want.asked)
			}
			if r.Method != "POST" || r.Host != "postern" || r.RequestURI != "http://postern/oauth2/session/forwardauth" {
				t.Error("the question itself has changed")
			}
		})
	}
}

// What an ingress says is partly what its client wrote: whatever it is, the target that is decided on is the one that was said, byte for byte.
func FuzzQuestion(f *testing.F) {
	for _, target := range []string{"/a?b=c", "https://app.example/a/../b", "//a", "https://app.example?x", "*", "", "http://", "/%zz", "a://b://c/d", "/\x7f"} {
		f.Add("GET", target, "app.example")
	}
	f.Fuzz(func(t *testing.T, method, target, host string) {
		r := &http.Request{Method: "GET", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Host: "postern", Header: http.Header{
			"X-Original-Method": {method}, "X-Original-Url": {target}, "X-Forwarded-Host": {host},
		}}
		q := readQuestion(r)
		if q.unclear || forward.CheckTarget(q.asked) != nil {
			return
		}
		if q.asked.Method != method || !strings.HasSuffix(target, q.asked.RequestURI) && !strings.HasSuffix("/"+target, q.asked.RequestURI) &&
			!strings.HasSuffix(target, strings.TrimPrefix(q.asked.RequestURI, "/")) {
			t.Errorf("%q %q became %q %q", method, target, q.asked.Method, q.asked.RequestURI)
		}
		if !strings.HasPrefix(q.asked.RequestURI, "/") && q.asked.RequestURI != "*" || strings.ContainsAny(q.asked.Host, "/@?# ") {
			t.Errorf("%q: target %q of host %q", target, q.asked.RequestURI, q.asked.Host)
		}
	})
}
