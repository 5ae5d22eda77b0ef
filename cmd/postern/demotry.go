package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"postern/cmd/postern/demoapp"
	"postern/oidc/devidp"
)

// demoTrier implements [demoapp.Trier]: the test provider makes the token, the request goes to the API's Postern over the network, and the
// explanation comes from the verifier and the policy that this Postern works by.
type demoTrier struct {
	provider   *devidp.IdP
	judge      demoJudge
	tap        *demoTap
	base       string // of the API, through Postern
	policyFile string
	client     *http.Client
	cast       []demoCaller
}

func newDemoTrier(provider *devidp.IdP, judge demoJudge, tap *demoTap, base, policyFile string) *demoTrier {
	return &demoTrier{
		provider: provider, judge: judge, tap: tap, base: base, policyFile: policyFile, cast: demoCast(),
		client: &http.Client{
			Transport:     &http.Transport{MaxIdleConns: 4, IdleConnTimeout: 10 * time.Second}, // and no web proxy
			Timeout:       10 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Callers implements [demoapp.Trier].
func (d *demoTrier) Callers() (all []demoapp.TryCaller) {
	for _, c := range d.cast {
		all = append(all, c.TryCaller)
	}
	return all
}

// Requests implements [demoapp.Trier].
func (d *demoTrier) Requests() []demoapp.TryRequest { return demoRequests() }

// Policy implements [demoapp.Trier].
func (d *demoTrier) Policy() demoapp.TryPolicy {
	text, err := os.ReadFile(d.policyFile)
	if err != nil {
		return demoapp.TryPolicy{Path: d.policyFile, Text: "(cannot be read)"}
	}
	return demoapp.TryPolicy{Path: d.policyFile, Text: string(text)}
}

// Try implements [demoapp.Trier].
func (d *demoTrier) Try(ctx context.Context, caller, request string) (*demoapp.Tried, error) {
	who := slices.IndexFunc(d.cast, func(c demoCaller) bool { return c.ID == caller })
	what := slices.IndexFunc(demoRequests(), func(r demoapp.TryRequest) bool { return r.ID == request })
	if who < 0 || what < 0 {
		return nil, errors.New("nobody here does that")
	}
	ask, raw := demoRequests()[what], ""
	if order := d.cast[who].token; order != nil {
		var err error
		if raw, err = d.provider.Mint(*order); err != nil {
			return nil, err
		}
	}
	tried, err := d.call(ctx, ask, raw)
	if err != nil {
		return nil, err
	}
	tried.Token = readDemoToken(raw)
	tried.Why, err = d.judge.explain(ctx, ask, raw)
	return tried, err
}

// maxDemoBody is how much of an answer is shown, in bytes.
const maxDemoBody = 64 << 10

// call makes the request, and looks at both of its ends.
func (d *demoTrier) call(ctx context.Context, ask demoapp.TryRequest, raw string) (*demoapp.Tried, error) {
	body := ""
	if ask.Method == http.MethodPost {
		body = `{"item":"Ramp","quantity":1}`
	}
	request, err := http.NewRequestWithContext(ctx, ask.Method, d.base+ask.Path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	if raw != "" {
		request.Header.Set("Authorization", "Bearer "+raw)
	}
	received := d.tap.watch(request.Header)
	defer received.forget()
	response, err := d.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("call the API: %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxDemoBody))
	if err != nil {
		return nil, fmt.Errorf("read the API's answer: %w", err)
	}
	header, reached := received.header()
	return &demoapp.Tried{
		Status: response.StatusCode, Header: response.Header, Body: string(text), Reached: reached, Received: header,
	}, nil
}

// readDemoToken is the readable parts of a token; nil for none.
func readDemoToken(raw string) *demoapp.TryToken {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return nil
	}
	token := &demoapp.TryToken{Length: len(raw)}
	for i, into := range []*[]byte{&token.Header, &token.Claims} {
		plain, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			return nil
		}
		*into = plain
	}
	return token
}
