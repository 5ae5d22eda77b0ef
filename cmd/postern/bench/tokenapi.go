package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"postern/oidc/devidp"
)

// Paths of the token API.
const (
	pathToken      = "/api/v1/token" //nolint:gosec // a path, no credential
	pathExchange   = "/api/v1/token/exchange"
	pathIntrospect = "/api/v1/introspect"
)

// The app that tokens are asked for.
const (
	storeName = "bench:team:store"
	storeID   = "3b9e1f60-7a52-4c0e-8f14-2d6c5e9a0b11"
	target    = "api://bench.team.store/.default"
)

// writeClients makes the file that registers it at the provider, which gives nobody tokens for an app that has not said so.
func (w *world) writeClients() (path string, err error) {
	text, err := json.Marshal([]map[string]any{{"id": storeID, "name": storeName, "pre_authorized": []string{clientID}}})
	if err != nil {
		return "", err
	}
	path = filepath.Join(w.dir, "clients.json")
	return path, os.WriteFile(path, text, 0o600)
}

// openTokenAPI starts a Postern as a Texas, which each question is put to once, and a handler that answers the same constants.
func (w *world) openTokenAPI(ctx context.Context, c *caller) (err error) {
	if c.postern, err = w.startTexas(ctx); err != nil {
		return err
	}
	w.targets = append(w.targets, c.postern)
	c.common = serviceHeaders(c.postern.address)
	c.common.Set("Content-Type", "application/json")
	if c.bodies, err = w.questions(ctx); err != nil {
		return err
	}
	constants, err := c.learn(ctx, c.postern)
	if err != nil {
		return err
	}
	if c.peer, err = start(ctx, roleConstant, part{Constants: constants}, bareGC); err != nil {
		return err
	}
	w.targets = append(w.targets, c.peer)
	again, err := c.learn(ctx, c.peer)
	if err != nil {
		return err
	}
	if !maps.EqualFunc(constants, again, constant.is) {
		return errors.New("the constant handler answers otherwise than postern: the comparison would be unfair")
	}
	return nil
}

// startTexas runs a Postern that is configured by the platform's variables alone.
func (w *world) startTexas(ctx context.Context) (*process, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	probe, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	socket, served := w.adminSocket()
	env := slices.Concat(w.entraEnv(), []string{"BIND_ADDRESS=" + address, "PROBE_BIND_ADDRESS=" + probe}, served)
	p, err := spawn(ctx, postern, address, env, nil, w.binary, "serve")
	if err != nil {
		return nil, err
	}
	p.admin = socket
	if _, err := p.wait(ctx, "http://"+probe+"/readyz", 5*time.Millisecond); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

// questions are the bodies that the app sends, by path. The user's token is one for the app, by a key of the provider.
func (w *world) questions(ctx context.Context) (map[string]string, error) {
	tokens, err := w.mint(ctx, 1, mintRequest{Profile: devidp.MintEntraUser, Claims: map[string]any{"aud": clientID}})
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	for path, question := range map[string]map[string]string{
		pathToken:      {"identity_provider": "entra_id", "target": target},
		pathExchange:   {"identity_provider": "entra_id", "target": target, "user_token": tokens[0]},
		pathIntrospect: {"identity_provider": "entra_id", "token": tokens[0]},
	} {
		text, err := json.Marshal(question)
		if err != nil {
			return nil, err
		}
		all[path] = string(text)
	}
	return all, nil
}

// constant is an answer that is always the same.
type constant struct {
	Header http.Header
	Body   string
}

func (c constant) is(other constant) bool {
	return c.Body == other.Body && maps.EqualFunc(c.Header, other.Header, slices.Equal)
}

// goodAnswers are what tells a token or an active one from everything else, by path.
var goodAnswers = map[string]string{pathToken: `"access_token":"`, pathExchange: `"access_token":"`, pathIntrospect: `"active":true`}

// learn puts each of the caller's questions to a target, and wants good answers.
func (c *caller) learn(ctx context.Context, target *process) (map[string]constant, error) {
	all := map[string]constant{}
	for path := range c.bodies {
		answer, err := c.answerOf(ctx, target, path)
		if err != nil {
			return nil, err
		}
		if !strings.Contains(answer.Body, goodAnswers[path]) {
			return nil, fmt.Errorf("ask %s for %s: no %s in the answer", target.name, path, goodAnswers[path])
		}
		all[path] = answer
	}
	return all, nil
}

// answerOf is what a target answers to the caller's question.
func (c *caller) answerOf(ctx context.Context, target *process, path string) (constant, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+target.address+path, strings.NewReader(c.bodies[path]))
	if err != nil {
		return constant{}, err
	}
	addHeader(request, c.common)
	response, err := plain().Do(request)
	if err != nil {
		return constant{}, fmt.Errorf("ask %s: %w", target.name, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return constant{}, fmt.Errorf("ask %s: %w", target.name, err)
	}
	if response.StatusCode != http.StatusOK {
		return constant{}, fmt.Errorf("ask %s for %s: status %d: %s", target.name, path, response.StatusCode, body)
	}
	for _, own := range []string{"Date", "Connection"} { // of the server and of this connection
		response.Header.Del(own)
	}
	return constant{response.Header, string(body)}, nil
}

// newConstant is the least that a server of Go's standard library has to do for a request with a body: read it, and answer.
func newConstant(answers map[string]constant) http.Handler {
	bodies := map[string][]byte{}
	for path, answer := range answers {
		bodies[path] = []byte(answer.Body)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		maps.Copy(w.Header(), answers[r.URL.Path].Header)
		_, _ = w.Write(bodies[r.URL.Path])
	})
}

// boughtTokens is how many tokens apps have asked the provider for.
func (w *world) boughtTokens(ctx context.Context) (int, error) {
	var requests map[string]int
	err := getJSON(ctx, "http://"+w.idp.address+"/_dev/counts", nil, &requests)
	return requests["token"], err
}

// plausibleMemory makes sure that answers of the token API were good, and that the tokens in them were remembered.
func plausibleMemory(all, ok, bought int) error {
	switch least := nearlyAll(all); {
	case int64(ok) < least:
		return fmt.Errorf("only %d of %d answers are 200", ok, all)
	case int64(all-bought) < least:
		return fmt.Errorf("the provider was asked for %d tokens during %d requests for known ones", bought, all)
	}
	return nil
}
