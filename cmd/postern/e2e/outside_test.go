package e2e

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-"

// S-57: who may say that a request is to be traced, and what rides along with the trace. The id of the trace is anybody's: it only finds lines.
func TestS57TraceContextFromOutside(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		trusted         string
		parent, baggage []string // sent
		wantParent      []string
		wantBaggage     []string
	}{
		"nobody is trusted":      {"", []string{parent + "01"}, []string{"user=01017012345"}, []string{parent + "00"}, nil},
		"another peer is":        {"192.0.2.0/24", []string{parent + "01"}, []string{"a=b"}, []string{parent + "00"}, nil},
		"this peer is":           {"127.0.0.0/8", []string{parent + "01"}, []string{"a=b", "c=d"}, []string{parent + "01"}, []string{"a=b", "c=d"}},
		"not sampled":            {"", []string{parent + "00"}, nil, []string{parent + "00"}, nil},
		"further flags":          {"", []string{parent + "ff"}, nil, []string{parent + "00"}, nil},
		"later version":          {"", []string{"01" + parent[2:] + "01-what-is-new"}, nil, nil, nil},
		"malformed":              {"", []string{"00-zz-01"}, nil, nil, nil},
		"two":                    {"", []string{parent + "01", parent + "00"}, nil, nil, nil},
		"two from a trusted one": {"127.0.0.0/8", []string{parent + "01", parent + "00"}, nil, []string{parent + "01", parent + "00"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, worldOptions{env: map[string]string{"POSTERN_TRUSTED_PROXIES": test.trusted, "POSTERN_UPSTREAM_ACCESS_LOGS": "true"}})
			var headers []string
			for _, value := range test.parent {
				headers = append(headers, "traceparent", value)
			}
			for _, value := range test.baggage {
				headers = append(headers, "bAGGAGE", value)
			}
			r := w.ask(t, http.MethodGet, "/x", headers...)
			seen := Echoed(t, r).Header
			if got, want := strings.Join(seen["Traceparent"], "; "), strings.Join(test.wantParent, "; "); got != want {
				t.Errorf("traceparent %q, want %q", got, want)
			}
			if got, want := strings.Join(seen["Baggage"], "; "), strings.Join(test.wantBaggage, "; "); got != want {
				t.Errorf("baggage %q, want %q", got, want)
			}
		})
	}
}

// timestamps have no eleven digits in a row, but keyed hashes and ports beside them may: what is cut out is only what Postern itself counts.
var timestamps = regexp.MustCompile(`"time":"[^"]*"`)

// links and forms of a page lead a person back to the address that they asked for themselves; nothing else of a page may repeat it.
var links = regexp.MustCompile(` (href|action)="[^"]*"`)

// around is a text near a place in it.
func around(text string, at int) string { return text[max(0, at-100):min(len(text), at+100)] }

// S-37: what came from outside is repeated nowhere. A whole round at debug level with personal numbers in every place that a request has, and
// everything that Postern says to anybody is looked through: log, audit events, metrics, probes, pages and headers of answers.
func TestS37NothingFromOutsideIsRepeated(t *testing.T) {
	t.Parallel()
	const number = "01017012345"
	dir := t.TempDir()
	const password = "password-of-redis-5e1f"
	audit, redis := auditFile(dir+"/audit"), Redis(t, "--requirepass", password)
	admin, env := adminEnv(t, map[string]string{
		"POSTERN_AUDIT_FILE": string(audit), "POSTERN_REDIS_URI": redis.URI(), "POSTERN_UPSTREAM_ACCESS_LOGS": "true", "POSTERN_UPSTREAM_INCLUDE_ID_TOKEN": "true",
		"POSTERN_REDIS_PASSWORD": password, "POSTERN_POLICY_FILE": dir + "/policy.yaml", "POSTERN_IDENTITY_ASSERTION": "true",
	})
	writeFile(t, dir+"/policy.yaml", auditPolicy("11111111-1111-1111-1111-111111111111"))
	w := newWorld(t, worldOptions{env: env})
	w.dev.Dev(t, "token-lifetime", map[string]any{"seconds": 3})
	secrets := map[string]string{
		"client secret": DevClientSecret, "encryption key": testKey, "admin token": adminToken, "password of Redis": password,
	}
	var said strings.Builder // pages and headers that Postern made itself
	hear := func(r *Response) *Response {
		for name, values := range r.Header {
			if name != "Location" && name != "Set-Cookie" { // these carry the person on, and back what the browser asked for
				said.WriteString(name + ": " + strings.Join(values, ", ") + "\n")
			}
		}
		said.WriteString(links.ReplaceAllString(r.Body, "") + "\n")
		return r
	}
	c := NewClient(t)
	started := c.Navigate(w.ingress + "/oauth2/login?redirect=%2Fp%2F" + number + "%3Ffnr%3D" + number)
	for name, value := range c.Cookies(w.ingress + "/") {
		secrets["cookie "+name] = value
	}
	callback := w.idp.SignIn(c, started, "kari").Where()
	secrets["code"], secrets["state"] = callback.Query().Get("code"), callback.Query().Get("state")
	hear(c.Navigate(callback.String()))
	_, secrets["session cookie"] = w.sessionCookie(c)
	for _, stage := range []string{"first ", "second "} {
		seen := w.get(t, c, "/p/"+number+"?fnr="+number, "Referer", w.ingress+"/p/"+number, "X-Request-Id", number, "User-Agent", number, "Origin", w.origin()).Header
		if got := seen.Get("X-Request-Id"); got == "" || strings.Contains(got, number) {
			t.Errorf("request id %q", got)
		}
		secrets[stage+"access token"] = strings.TrimPrefix(seen.Get("Authorization"), "Bearer ")
		secrets[stage+"id token"], secrets[stage+"assertion"] = seen.Get("X-Wonderwall-Id-Token"), seen.Get("X-Postern-Assertion")
		if stage == "first " {
			time.Sleep(3100 * time.Millisecond) // past the token's life: the next request refreshes
		}
	}
	// Whatever is refused, and says so.
	hear(c.Navigate(w.ingress + "/admin/" + number + "?fnr=" + number))
	hear(c.Get(w.ingress + "/admin/%30" + number[1:] + "?fnr=" + number))
	hear(c.Navigate(w.ingress + "/oauth2/" + number))
	hear(c.Navigate(w.ingress + "/oauth2/callback?code=" + secrets["code"] + "&state=" + secrets["state"]))
	hear(c.Navigate(w.ingress + "/oauth2/callback?error=" + number + "&error_description=" + number + "&state=" + number))
	hear(NewClient(t).Navigate(w.ingress + "/p/" + number + "?fnr=" + number))
	hear(NewClient(t).Get(w.ingress+"/p/"+number, "Authorization", "Bearer "+secrets["second access token"][1:]))
	hear(NewClient(t).Get(w.ingress+"/open/x", "Cookie", strings.Repeat("a"+number+"=1; ", 101)))
	hear(w.ask(t, number, "/p/"+number))
	hear(w.ask(t, http.MethodGet, "/p/%zz"+number))
	hear(w.ask(t, http.MethodGet, "/p", "Host", number))
	hear(c.Send(http.MethodPost, w.ingress+"/oauth2/logout/backchannel", "logout_token="+secrets["first id token"], "Content-Type", "application/x-www-form-urlencoded"))
	hear(c.Get(w.ingress + "/oauth2/logout/frontchannel?sid=" + number + "&iss=" + number))
	hear(operate(t, admin, http.MethodPost, "/sessions/search", `{"sub":"`+number+`"}`))
	hear(operate(t, admin, http.MethodPost, "/sessions/"+number, `{"`+number+`":1}`))
	hear(c.Get(w.ingress + "/oauth2/session"))
	hear(c.Navigate(w.ingress + "/oauth2/logout?redirect=/p/" + number + "&logout_hint=" + number))
	redis.Kill(t)
	hear(c.Navigate(w.ingress + "/oauth2/callback?code=" + number + "&state=" + secrets["state"]))
	_, ready := w.Readyz(t)

	events, err := json.Marshal(audit.events(t))
	if err != nil || len(events) < 1000 {
		t.Fatalf("%d bytes of audit events: %v", len(events), err)
	}
	for where, text := range map[string]string{
		"log": w.Log.Text(), "audit events": string(events), "metrics": w.Metrics(t), "/readyz": ready, "answers": said.String(),
	} {
		for _, name := range leaks(text, secrets) {
			t.Errorf("%s: a secret is shown: %s", where, name)
		}
		if where == "metrics" {
			continue // numbers are all that is there: the number that was sent is looked for below
		}
		if found := elevenDigits.FindStringIndex(timestamps.ReplaceAllString(text, "")); found != nil {
			t.Errorf("%s: eleven digits: %.300s", where, around(timestamps.ReplaceAllString(text, ""), found[0]))
		}
	}
	if strings.Contains(w.Metrics(t), number) {
		t.Error("metrics: the personal number is shown")
	}
}
