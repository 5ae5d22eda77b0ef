package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// auditFile is the file that a world's audit events go to.
type auditFile string

// events are the lines of the file, each of which must be a JSON object with audit: true.
func (f auditFile) events(t testing.TB) []Record {
	t.Helper()
	text, err := os.ReadFile(string(f))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	var all []Record
	for line := range bytes.Lines(text) {
		var r Record
		if err := json.Unmarshal(line, &r); err != nil || r["audit"] != true || r["time"] == nil {
			t.Fatalf("no audit event: %s %v", line, err)
		}
		all = append(all, r)
	}
	return all
}

// wait returns the events as soon as there are so many.
func (f auditFile) wait(t testing.TB, count int) []Record {
	t.Helper()
	var all []Record
	Eventually(t, fmt.Sprintf("%d audit events", count), func() error {
		if all = f.events(t); len(all) < count {
			return errorf("%d", len(all))
		}
		return nil
	})
	return all
}

var elevenDigits = regexp.MustCompile(`[0-9]{11}`)

// shape is an event in a line: its name and the members that say what was decided, in this order.
func shape(r Record) string {
	text := fmt.Sprint(r["msg"])
	for _, name := range []string{"way", "by", "action", "outcome", "reason", "status", "method", "path_template", "rule", "sessions", "keys"} {
		if value, ok := r[name]; ok {
			text += fmt.Sprintf(" %s=%v", name, value)
		}
	}
	return text
}

func auditPolicy(group string) string {
	return `
apiVersion: postern/v1
app: {cluster: dev, namespace: team, name: app}
users: {allowAll: true}
paths:
  - {match: /open/**, public: true}
  - {match: "/admin/**", require: {groups: ["` + group + `"]}}
`
}

// S-38: a story, and exactly its events in their order, at a log level that lets no other line pass.
func TestS38StoryIsAudited(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, policy, key := auditFile(dir+"/audit.jsonl"), dir+"/policy.yaml", dir+"/key"
	writeFile(t, policy, auditPolicy("11111111-1111-1111-1111-111111111111"))
	writeFile(t, key, testKey)
	admin, env := adminEnv(t, map[string]string{
		"POSTERN_AUDIT_FILE": string(file), "POSTERN_POLICY_FILE": policy, "POSTERN_ENCRYPTION_KEY_FILE": key, "POSTERN_LOG_LEVEL": "error",
		"POSTERN_IDENTITY_CLAIMS": "X-Sid=sid",
	})
	w := prepareWorld(t, worldOptions{env: env})
	delete(w.env, "POSTERN_ENCRYPTION_KEY")
	w.Process = Start(t, w.env)
	w.hears(t, map[string]any{"back_channel_logout_uri": "http://" + w.Addr + "/oauth2/logout/backchannel"})
	c := NewClient(t)
	var want []string
	then := func(events ...string) []Record {
		t.Helper()
		want = append(want, events...)
		return file.wait(t, len(want))[len(want)-len(events):]
	}
	loaded := then("policy loaded")[0]

	w.login(t, c, "kari", "")
	login := then("login method=GET path_template=/oauth2/callback")[0]
	if r := c.Get(w.ingress+"/admin/01017012345?fnr=01017012345", "X-Request-Id", "r-1"); r.StatusCode != 403 {
		t.Fatalf("status %d", r.StatusCode)
	}
	refusal := then(`refusal reason=not_in_group status=403 method=GET path_template=/admin/** rule=paths "/admin/**"`)[0]
	c.Get(w.ingress + "/open/x")
	w.login(t, c, "kari", "")
	then("session ended by=new_login method=GET path_template=/oauth2/callback", "login method=GET path_template=/oauth2/callback")
	c.Navigate(w.ingress + "/oauth2/logout")
	then("logout way=self_initiated by=person method=GET path_template=/oauth2/logout")
	w.login(t, c, "kari", "")
	then("login method=GET path_template=/oauth2/callback")
	c.Send("POST", w.ingress+"/oauth2/logout/local", "", "Origin", w.origin(), "Sec-Fetch-Site", "same-origin")
	then("logout way=local by=person method=POST path_template=/oauth2/logout/local")

	w.login(t, c, "kari", "")
	then("login method=GET path_template=/oauth2/callback")
	seen := w.get(t, c, "/").Header
	token := w.logoutToken(t, map[string]any{"sid": seen.Get("X-Sid")})
	if r := w.tell(t, token); r.StatusCode != 200 {
		t.Fatalf("back channel: %d %s", r.StatusCode, r.Body)
	}
	back := then("logout way=backchannel by=provider method=POST path_template=/oauth2/logout/backchannel sessions=1")[0]
	w.tell(t, token)
	then("refusal reason=logout_token_used_before status=400 method=POST path_template=/oauth2/logout/backchannel")

	w.login(t, NewClient(t), "kari", "")
	then("login method=GET path_template=/oauth2/callback")
	operate(t, admin, "POST", "/sessions/end", `{"sub":"`+seen.Get("X-Postern-Subject")+`"}`)
	then("admin call action=sessions.end outcome=done method=POST sessions=1")
	operate(t, admin, "POST", "/sessions/end", "{}", "Authorization", "Bearer wrong")
	then("admin call action=none outcome=invalid_client method=POST")

	w.dev.Dev(t, "token-lifetime", map[string]any{"seconds": 2})
	c = NewClient(t)
	w.login(t, c, "ola", "")
	then("login method=GET path_template=/oauth2/callback")
	w.dev.Dev(t, "refresh-tokens/revoke", map[string]any{"user": "ola"})
	time.Sleep(time.Until(w.metadata(t, c).Tokens.ExpireAt) + 50*time.Millisecond)
	w.get(t, c, "/open/y")
	refused := then("refresh refused by=provider reason=invalid_grant")[0]

	writeFile(t, policy, auditPolicy("22222222-2222-2222-2222-222222222222"))
	exchanged := then("policy loaded")[0]
	writeFile(t, policy, "apiVersion: postern/v0\n")
	broken := then("policy refused")[0]
	writeFile(t, key, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=,"+testKey)
	then("key ring changed keys=2")

	time.Sleep(100 * time.Millisecond) // for one too many
	var got []string
	for _, event := range file.events(t) {
		got = append(got, shape(event))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if loaded["policy"] == "" || loaded["policy_before"] != "" || exchanged["policy_before"] != loaded["policy"] || exchanged["policy"] == loaded["policy"] ||
		broken["policy_before"] != exchanged["policy"] || broken["policy"] == exchanged["policy"] || broken["policy"] == "" {
		t.Errorf("hashes: %v, %v, %v", loaded, exchanged, broken)
	}
	for name, event := range map[string]Record{"login": login, "refusal": refusal, "refresh refused": refused} {
		if event["provider"] != "entra_id" || event["subject"] == nil || event["issuer"] == nil || event["client"] != DevClientID ||
			event["object"] == nil || event["session"] == nil || event["token_id"] == nil {
			t.Errorf("%s does not say who: %v", name, event)
		}
	}
	if refusal["subject"] != seen.Get("X-Postern-Subject") || refusal["request_id"] != "r-1" || refusal["policy"] != loaded["policy"] || refusal["path"] != "/admin/***********" || back["sid"] != seen.Get("X-Sid") ||
		back["token_id"] == nil || back["request_id"] == nil {
		t.Errorf("%v\n%v", refusal, back)
	}
	text, err := os.ReadFile(string(file))
	if err != nil || elevenDigits.Match(text) {
		t.Errorf("a personal number is in an audit event (%v)", err)
	}
	for _, name := range leaks(string(text), map[string]string{"admin token": adminToken, "client secret": DevClientSecret, "key": testKey, "logout token": token}) {
		t.Errorf("the audit events show the %s", name)
	}
	if found := w.Log.Find(map[string]any{"audit": true}); len(found) > 0 {
		t.Errorf("audit events on standard output too: %v", found)
	}
}

// S-38, S-15: report mode writes whom it would have refused, on standard output where there is no file, whatever the log level.
func TestS38WouldRefuseIsAudited(t *testing.T) {
	t.Parallel()
	policy := t.TempDir() + "/policy.yaml"
	writeFile(t, policy, auditPolicy("11111111-1111-1111-1111-111111111111"))
	w := newWorld(t, worldOptions{env: map[string]string{
		"POSTERN_POLICY_FILE": policy, "POSTERN_POLICY_MODE": "report", "POSTERN_LOG_LEVEL": "error",
	}})
	c := NewClient(t)
	w.login(t, c, "kari", "")
	w.get(t, c, "/admin/x")
	event := w.Log.WaitFor(t, map[string]any{"msg": "would_refuse"})
	if got, want := shape(event), `would_refuse reason=not_in_group method=GET path_template=/admin/** rule=paths "/admin/**"`; got != want || event["audit"] != true ||
		event["subject"] == nil {
		t.Errorf("%s\nwant %s\n%v", got, want, event)
	}
}

// S-38: a hangup, or a second, opens the file again after logrotate has moved it; without a file a hangup stops the sidecar as ever.
func TestS38HangupOpensTheFileAgain(t *testing.T) {
	t.Parallel()
	file := auditFile(t.TempDir() + "/audit")
	w := newWorld(t, worldOptions{env: map[string]string{"POSTERN_AUDIT_FILE": string(file)}})
	w.login(t, NewClient(t), "kari", "")
	file.wait(t, 1)
	if err := os.Rename(string(file), string(file)+".1"); err != nil {
		t.Fatal(err)
	}
	w.signal(syscall.SIGHUP)
	w.Log.WaitFor(t, map[string]any{"msg": "audit.file was opened again"})
	w.login(t, NewClient(t), "ola", "")
	file.wait(t, 1)
	if info, err := os.Stat(string(file)); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	if moved := auditFile(string(file) + ".1"); len(moved.events(t)) != 1 {
		t.Errorf("%d events in the moved file", len(moved.events(t)))
	}
	plain := newWorld(t, worldOptions{})
	plain.ended = true
	plain.signal(syscall.SIGHUP)
	if code := plain.wait(t, stopLimit); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// S-38: a file that cannot be written when Postern starts is a configuration that cannot be used.
func TestS38AuditFileMustOpen(t *testing.T) {
	t.Parallel()
	w := prepareWorld(t, worldOptions{env: map[string]string{"POSTERN_AUDIT_FILE": t.TempDir()}})
	p := Launch(t, w.env)
	if code := p.Wait(t); code != 2 || !strings.Contains(p.Log.Stderr(), "audit.file: ") {
		t.Errorf("exit code %d, %s", code, p.Log.Stderr())
	}
}
