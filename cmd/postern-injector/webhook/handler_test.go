package webhook

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/cmd/postern-injector/inject"
)

// Every answer that is no AdmissionReview: nothing of it can be taken for a yes, and the connection stays.
func TestRow83WhatIsNoReviewIsRefusedAndTheConnectionKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	address, _ := w.listen(t)
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	answers := bufio.NewReader(conn)
	const path = "/inject/pod"
	large := strings.Repeat(" ", maxBody+1)
	for _, c := range []struct {
		name, method, path, contentType, body string
		chunked                               bool
		status                                int
		reason                                string
	}{
		{"empty body", "POST", path, "application/json", "", false, 400, "empty_body"},
		{"empty body in chunks", "POST", path, "application/json", "", true, 400, "empty_body"},
		{"no content type", "POST", path, "", question(), false, 415, "content_type"},
		{"another content type", "POST", path, "application/yaml", question(), false, 415, "content_type"},
		{"a broken content type", "POST", path, "application/json;;;", question(), false, 415, "content_type"},
		{"two content types", "POST", path, "application/json\r\nContent-Type: application/json", question(), false, 415, "content_type"},
		{"compressed", "POST", path, "application/json\r\nContent-Encoding: gzip", question(), false, 415, "content_type"},
		{"no JSON", "POST", path, "application/json", "pod", false, 400, "not_a_review"},
		{"half of it", "POST", path, "application/json", question()[:200], false, 400, "not_a_review"},
		{"two of them", "POST", path, "application/json", question() + question(), false, 400, "not_a_review"},
		{"another version", "POST", path, "application/json", question("admission.k8s.io/v1", "admission.k8s.io/v1beta1"), false, 400, "not_a_review"},
		{"another kind", "POST", path, "application/json", question("AdmissionReview", "ConversionReview"), false, 400, "not_a_review"},
		{"null", "POST", path, "application/json", "null", false, 400, "not_a_review"},
		{"a list", "POST", path, "application/json", "[]", false, 400, "not_a_review"},
		{"no request", "POST", path, "application/json", `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}`, false, 400, "not_a_review"},
		{"no uid", "POST", path, "application/json", question(`"u-1"`, `""`), false, 400, "not_a_review"},
		{"no namespace", "POST", path, "application/json", question(`"team"`, `""`), false, 400, "not_a_review"},
		{"a pod that is none", "POST", path, "application/json", question(`"metadata":{`, `"metadata":[{`, `"controller":true}]}`, `"controller":true}]}]`), false, 400, "not_a_review"},
		{"deep", "POST", path, "application/json", question(`"spec":`, `"x":`+strings.Repeat("[", 20000)+strings.Repeat("]", 20000)+`,"spec":`), false, 400, "not_a_review"},
		{"too large", "POST", path, "application/json", large, false, 413, "too_large"},
		{"too large in chunks", "POST", path, "application/json", large, true, 413, "too_large"},
		{"GET", "GET", path, "", "", false, 405, ""},
		{"another path", "POST", "/inject", "application/json", question(), false, 404, ""},
		{"a path below", "POST", "/inject/pod/x", "application/json", question(), false, 404, ""},
		{"and a real one", "POST", path, "application/json; charset=utf-8", question(), false, 200, "injected"},
	} {
		before := w.counted(t, "postern_injector_admissions_total", "reason="+c.reason)
		head := c.method + " " + c.path + " HTTP/1.1\r\nHost: x\r\n"
		if c.contentType != "" {
			head += "Content-Type: " + c.contentType + "\r\n"
		}
		if c.chunked {
			head += "Transfer-Encoding: chunked\r\n\r\n"
			if c.body != "" {
				head += fmt.Sprintf("%x\r\n%s\r\n", len(c.body), c.body)
			}
			head += "0\r\n\r\n"
		} else {
			head += fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(c.body), c.body)
		}
		if _, err := io.WriteString(conn, head); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatalf("%s: the connection was not kept: %v", c.name, err)
		}
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != c.status || resp.Close {
			t.Errorf("%s: status %d, want %d; close %v; %v", c.name, resp.StatusCode, c.status, resp.Close, err)
		}
		if c.status != 200 && bytes.Contains(text, []byte("allowed")) {
			t.Errorf("%s: %s", c.name, text)
		}
		if c.reason != "" && w.counted(t, "postern_injector_admissions_total", "reason="+c.reason) != before+1 {
			t.Errorf("%s: not counted as %s", c.name, c.reason)
		}
	}
}

func TestOnlyTLS13IsSpoken(t *testing.T) {
	t.Parallel()
	address, client := newWorld(t).listen(t)
	if _, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}); err == nil {
		t.Error("TLS 1.2 was accepted")
	}
	resp, err := client.Post("https://"+address+"/inject/pod", "application/json", strings.NewReader(question()))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.ProtoMajor != 2 || resp.TLS.Version != tls.VersionTLS13 {
		t.Errorf("HTTP %s, TLS %x", resp.Proto, resp.TLS.Version)
	}
}

func TestReviewsOfNothingToInjectAreAllowedUnchanged(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ body, reason string }{
		"another kind":    {question(`"kind":"Pod"`, `"kind":"Deployment"`), "not_a_pod"},
		"another group":   {question(`"kind":{"group":""`, `"kind":{"group":"x"`), "not_a_pod"},
		"another version": {question(`"version":"v1","kind":"Pod"`, `"version":"v2","kind":"Pod"`), "not_a_pod"},
		"UPDATE":          {question("CREATE", "UPDATE"), "not_create"},
		"DELETE":          {question("CREATE", "DELETE", `"object":{`, `"object":null,"oldObject":{`), "not_create"},
		"CONNECT":         {question("CREATE", "CONNECT"), "not_create"},
		"a subresource":   {question(`"dryRun"`, `"subResource":"ephemeralcontainers","dryRun"`), "subresource"},
		"a mirror pod":    {question(`"metadata":{`, `"metadata":{"annotations":{"kubernetes.io/config.mirror":""},`), "mirror_pod"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.inject = func([]byte, inject.Request, *inject.Settings) (inject.Result, error) {
				t.Error("inject was called")
				return inject.Result{}, nil
			}
			address, client := w.listen(t)
			status, r := ask(t, client, "https://"+address+"/inject/pod", c.body)
			if status != 200 || !r.Allowed || r.Patch != nil || r.PatchType != "" || r.UID != "u-1" {
				t.Errorf("%d %+v", status, r)
			}
			if w.counted(t, "postern_injector_admissions_total", "result=unchanged", "reason="+c.reason) != 1 {
				t.Error("not counted")
			}
			if !strings.Contains(w.logged(), `"level":"DEBUG"`) || strings.Contains(w.logged(), "INFO") {
				t.Errorf("log: %s", w.logged())
			}
		})
	}
}

func TestAPatchAndItsWarningsArePassedOn(t *testing.T) {
	t.Parallel()
	for _, asked := range []inject.Asked{inject.ByPod, inject.ByNamespace, inject.ByRequired} {
		w := newWorld(t)
		var got inject.Request
		var pod string
		w.defaults = func(_ context.Context, ns string) (map[string]string, error) { return map[string]string{"of": ns}, nil }
		w.inject = func(p []byte, r inject.Request, _ *inject.Settings) (inject.Result, error) {
			got, pod = r, string(p)
			return inject.Result{Patch: onePatch, Warnings: []string{"one\nline", strings.Repeat("w", 5000)}, Reason: "injected"}, nil
		}
		address, client := w.listen(t)
		status, r := ask(t, client, "https://"+address+"/inject/"+string(asked)+"?timeout=5s", question())
		if status != 200 || !r.Allowed || r.UID != "u-1" || r.PatchType != "JSONPatch" || r.Status != nil {
			t.Fatalf("%d %+v", status, r)
		}
		if got.Namespace != "team" || got.Asked != asked || got.Defaults["of"] != "team" || !strings.HasPrefix(pod, `{"metadata":{"generateName"`) {
			t.Errorf("inject was asked %+v of %s", got, pod)
		}
		var patch []inject.Operation
		if err := json.Unmarshal(r.Patch, &patch); err != nil || len(patch) != 1 || patch[0].Path != "/metadata/labels/x" {
			t.Errorf("patch %s", r.Patch)
		}
		if len(r.Warnings) != 2 || r.Warnings[0] != "one line" || len(r.Warnings[1]) > maxWarning+3 {
			t.Errorf("warnings %q", r.Warnings)
		}
		want := Happening{Reason: "SidecarWarning", Note: strings.Join(r.Warnings, "; ")}
		want.Regarding.APIVersion, want.Regarding.Kind, want.Regarding.Namespace = "apps/v1", "ReplicaSet", "team"
		want.Regarding.Name, want.Regarding.UID = "web-7d9", "o-1"
		if !slices.Equal(w.recorded(), []Happening{want}) {
			t.Errorf("events %+v", w.recorded())
		}
		for _, want := range []string{`"uid":"u-1"`, `"namespace":"team"`, `"generate_name":"web-7d9-"`, `"owner":"ReplicaSet/web-7d9"`, `"reason":"injected"`} {
			if !strings.Contains(w.logged(), want) {
				t.Errorf("no %s in %s", want, w.logged())
			}
		}
		if strings.Contains(w.logged(), "hunter2") || strings.Contains(w.logged(), "PASSWORD") {
			t.Error("the log holds the pod")
		}
	}
}

func TestARefusalHoldsAllProblems(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{"for real": question(), "dry run": question(`"dryRun":false`, `"dryRun":true`)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.inject = func([]byte, inject.Request, *inject.Settings) (inject.Result, error) {
				return inject.Result{}, fmt.Errorf("wrapped: %w", &inject.Refusal{Problems: []inject.Problem{
					{Code: "unknown_key", Message: "first"}, {Code: "port_conflict", Message: "second"}, {Code: "NOT A CODE {}", Message: "third"},
				}})
			}
			address, client := w.listen(t)
			status, r := ask(t, client, "https://"+address+"/inject/required", body)
			if status != 200 || r.Allowed || r.Patch != nil || r.Status == nil || r.Status.Code != 422 || r.UID != "u-1" {
				t.Fatalf("%d %+v", status, r)
			}
			for _, part := range []string{"first", "second", "third"} {
				if !strings.Contains(r.Status.Message, part) {
					t.Errorf("no %s in %q", part, r.Status.Message)
				}
				if strings.Contains(w.logged(), part) {
					t.Errorf("the log repeats a message, which may hold a value: %s", w.logged())
				}
			}
			if w.counted(t, "postern_injector_problems_total", "code=unknown_key") != 1 || w.counted(t, "postern_injector_problems_total", "code=other") != 1 {
				t.Error("problems are not counted by code")
			}
			if dry := name == "dry run"; dry != (len(w.recorded()) == 0) {
				t.Errorf("events %+v", w.recorded())
			}
		})
	}
}

func TestRow83TroubleIsNeverAYes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(w *world)
		status int
		reason string
		log    string
	}{
		"the settings are not loaded": {func(w *world) { w.settings = nil }, 503, "settings_not_loaded", "settings_not_loaded"},
		"the defaults cannot be read": {func(w *world) {
			w.defaults = func(context.Context, string) (map[string]string, error) { return nil, errors.New("down") }
		}, 503, "defaults_unavailable", "down"},
		"an error of inject": {func(w *world) {
			w.inject = func([]byte, inject.Request, *inject.Settings) (inject.Result, error) {
				return inject.Result{Patch: onePatch, Reason: "injected"}, errors.New("broken")
			}
		}, 500, "internal", "broken"},
		"a patch that is no JSON": {func(w *world) {
			w.inject = func([]byte, inject.Request, *inject.Settings) (inject.Result, error) {
				return inject.Result{Patch: []inject.Operation{{Op: "add", Path: "/x", Value: json.RawMessage("{")}}}, nil
			}
		}, 500, "internal", "encode the patch"},
		"a panic of the runtime": {func(w *world) {
			w.inject = func([]byte, inject.Request, *inject.Settings) (inject.Result, error) {
				return inject.Result{Patch: make([]inject.Operation, 1)[:len(onePatch)+1]}, nil
			}
		}, 500, "panic", "TestRow83TroubleIsNeverAYes"},
		"a panic with a value": {func(w *world) {
			w.inject = func(pod []byte, _ inject.Request, _ *inject.Settings) (inject.Result, error) { panic(string(pod)) }
		}, 500, "panic", `"panic":"string"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.change(w)
			address, client := w.listen(t)
			for range 2 { // the second finds everything as the first did
				if status, _ := ask(t, client, "https://"+address+"/inject/pod", question()); status != c.status {
					t.Errorf("status %d, want %d", status, c.status)
				}
			}
			if w.counted(t, "postern_injector_admissions_total", "result=error", "reason="+c.reason) != 2 || len(w.recorded()) != 0 {
				t.Errorf("events %+v", w.recorded())
			}
			if said := w.logged(); !strings.Contains(said, c.log) || !strings.Contains(said, `"uid":"u-1"`) || strings.Contains(said, "hunter2") {
				t.Errorf("log: %s", said)
			}
		})
	}
}

func TestRow83ABodyThatDoesNotComeIsNotWaitedForForEver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/inject/pod", io.MultiReader(strings.NewReader(`{"api`), brokenBody{}))
	r.Header.Set("Content-Type", "application/json")
	answer := httptest.NewRecorder()
	w.handler.ServeHTTP(answer, r)
	if answer.Code != 400 || w.counted(t, "postern_injector_admissions_total", "reason=body_cut_off") != 1 {
		t.Errorf("status %d", answer.Code)
	}
	server := NewServer(w.handler, w.handler.cfg.Log)
	if server.ReadHeaderTimeout == 0 || server.ReadTimeout == 0 || server.WriteTimeout == 0 || server.IdleTimeout == 0 || server.MaxHeaderBytes == 0 {
		t.Error("a limit is missing")
	}
}

type brokenBody struct{}

func (brokenBody) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestRow83LargeBodiesWaitForEachOtherAndSmallOnesForNone(t *testing.T) {
	t.Parallel()
	g := newGate()
	for range maxLarge {
		if _, ok := g.enter(t.Context(), -1); !ok {
			t.Fatal("no room")
		}
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, ok := g.enter(over, maxBody); ok {
		t.Error("one large body too many")
	}
	release, ok := g.enter(t.Context(), 1000)
	if !ok {
		t.Fatal("a small body has to wait")
	}
	release()
}

func TestHowLongTheAPIServerWaitsIsHeard(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]time.Duration{"timeout=3s": 3 * time.Second, "": decisionTime, "timeout=-1s": decisionTime, "timeout=1h": decisionTime, "timeout=x": decisionTime} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/inject/pod?"+query, nil)
		if got := patience(r.URL.Query()); got != want {
			t.Errorf("%s: %s", query, got)
		}
	}
}

// Owners stand in the pod as its maker wrote them, and are checked only later: events of impossible ones would fill the queue with megabytes.
func TestOwnersThatCannotBeAreNotRemembered(t *testing.T) {
	t.Parallel()
	for name, change := range map[string][2]string{
		"name":       {`"name":"web-7d9"`, `"name":"` + strings.Repeat("a", 100_000) + `"`},
		"kind":       {`"kind":"ReplicaSet"`, `"kind":"` + strings.Repeat("K", 1000) + `"`},
		"apiVersion": {`"apiVersion":"apps/v1"`, `"apiVersion":"` + strings.Repeat("a", 1000) + `/v1"`},
		"uid":        {`"uid":"o-1"`, `"uid":"` + strings.Repeat("a", 1000) + `"`},
	} {
		w := newWorld(t)
		w.inject = func([]byte, inject.Request, *inject.Settings) (inject.Result, error) {
			return inject.Result{}, &inject.Refusal{Problems: []inject.Problem{{Code: "image", Message: "no"}}}
		}
		address, client := w.listen(t)
		if _, answer := ask(t, client, "https://"+address+"/inject/pod", question(change[0], change[1])); answer == nil || answer.Allowed {
			t.Fatalf("%s: %+v", name, answer)
		}
		if events := w.recorded(); len(events) != 0 {
			t.Errorf("%s: an event of %d bytes", name, len(fmt.Sprint(events)))
		}
	}
}
