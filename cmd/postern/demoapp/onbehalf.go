package demoapp

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// OnBehalf is what the app has to know to call APIs on behalf of its user: where its own Postern listens for it, and the APIs. A real app has it
// from its environment.
type OnBehalf struct {
	TokenAPI string // base address of the token API
	Egress   string // base address of the egress proxy
	Provider string // identity_provider: who issues the tokens
	APIs     []DownstreamAPI
}

// DownstreamAPI is an API that the app calls.
type DownstreamAPI struct {
	ID     string // short and plain, for the address of the page
	Name   string // "orders API"
	About  string // goes on behind the name, to the end of the sentence
	Target string // who it is at the provider: cluster:namespace:app
	Base   string // its own address
	Path   string // what is asked for there, by GET
	Route  string // its route at the egress proxy
}

// call is a request that the app made, and the answer. Neither holds a token.
type call struct {
	Method, URL string
	Status      int
	Body        string // readable
	Hint        string // Postern's, what to do about a refusal
	Trouble     string // why there was no answer at all

	raw []byte
}

// onBehalfCalls are the calls of one press of a button.
type onBehalfCalls struct {
	Exchange *call // to the token API
	Direct   *call // to the API, with the token that it gave; nil if it gave none
	Egress   *call // to the API, through egress

	token string // what the token API gave; empty for nothing
}

// callOnBehalf calls an API both ways, given the Authorization header that the app received and nothing else of the user's.
func (a *App) callOnBehalf(ctx context.Context, api DownstreamAPI, authorization string) onBehalfCalls {
	cfg := a.cfg.OnBehalf
	var all onBehalfCalls

	// 1: have the token exchanged, and call the API with the other one.
	all.Exchange, all.token = a.exchange(ctx, api.Target, bearer(authorization))
	if all.token != "" {
		all.Direct = a.get(ctx, api.Base+api.Path, "Bearer "+all.token)
	}

	// 2: call the egress proxy, and let it do all that.
	all.Egress = a.get(ctx, cfg.Egress+"/"+api.Route+api.Path, authorization)

	for _, c := range []*call{all.Exchange, all.Direct, all.Egress} {
		if c != nil {
			c.hide(bearer(authorization), all.token)
		}
	}
	return all
}

// exchange asks the token API for a token on behalf of the user.
func (a *App) exchange(ctx context.Context, target, userToken string) (c *call, token string) {
	question, err := json.Marshal(map[string]string{
		"identity_provider": a.cfg.OnBehalf.Provider, "target": target, "user_token": userToken,
	})
	if err != nil {
		return &call{Trouble: err.Error()}, ""
	}
	c = a.do(ctx, http.MethodPost, a.cfg.OnBehalf.TokenAPI+"/api/v1/token/exchange", bytes.NewReader(question),
		http.Header{"Content-Type": {"application/json"}})
	var answer struct {
		Token   string `json:"access_token"`
		Type    string `json:"token_type"`
		Expires int64  `json:"expires_in"`
	}
	if c.Status != http.StatusOK || json.Unmarshal(c.raw, &answer) != nil {
		return c, ""
	}
	c.Body = fmt.Sprintf("{\n  \"access_token\": \"… (%d bytes)\",\n  \"token_type\": %s,\n  \"expires_in\": %d\n}",
		len(answer.Token), strconv.Quote(answer.Type), answer.Expires)
	return c, answer.Token
}

func (a *App) get(ctx context.Context, url, authorization string) *call {
	return a.do(ctx, http.MethodGet, url, http.NoBody, http.Header{"Authorization": {authorization}})
}

// maxAnswer is how much of an answer is read, in bytes.
const maxAnswer = 64 << 10

func (a *App) do(ctx context.Context, method, url string, body io.Reader, header http.Header) *call {
	c := &call{Method: method, URL: url}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		c.Trouble = err.Error()
		return c
	}
	request.Header = header
	response, err := a.client.Do(request)
	if err != nil {
		c.Trouble = err.Error() // names the address, and no header
		return c
	}
	defer response.Body.Close()
	if c.raw, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer)); err != nil {
		c.Trouble = err.Error()
		return c
	}
	c.Status = response.StatusCode
	c.read()
	return c
}

// read makes JSON readable, and finds the hint in it.
func (c *call) read() {
	c.Body = string(c.raw)
	var readable bytes.Buffer
	if json.Indent(&readable, c.raw, "", "  ") == nil {
		c.Body = strings.TrimSpace(readable.String())
	}
	var refusal struct {
		Hint string `json:"hint"`
	}
	if c.Status >= http.StatusBadRequest && json.Unmarshal(c.raw, &refusal) == nil {
		c.Hint = refusal.Hint
	}
}

// hide takes tokens out of what will be shown. Nobody is expected to answer one; if somebody does, it ends here.
func (c *call) hide(tokens ...string) {
	for _, token := range tokens {
		if token != "" {
			c.Body = strings.ReplaceAll(c.Body, token, "…")
			c.Hint = strings.ReplaceAll(c.Hint, token, "…")
		}
	}
}

// OK says whether the call was answered as it was meant to be.
func (c *call) OK() bool { return c.Status == http.StatusOK }

// refused says whether somebody decided against the call.
func (c *call) refused() bool {
	return c.Status >= http.StatusBadRequest && c.Status < http.StatusInternalServerError
}

// StatusText is the status with its name, or that there is none.
func (c *call) StatusText() string {
	if c.Trouble != "" {
		return "No answer"
	}
	return strconv.Itoa(c.Status) + " " + http.StatusText(c.Status)
}

// bearer is the token of an Authorization header.
func bearer(authorization string) string {
	scheme, token, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return token
}

// told is what an API of the demo answers at /whoami.
type told struct {
	Caller  string          `json:"caller"`
	Through string          `json:"through"`
	Token   json.RawMessage `json:"token"`
}

// told is what the API says that it was told; nil if it did not get the request.
func (c *call) told() *told {
	if c == nil || !c.OK() {
		return nil
	}
	var said told
	if json.Unmarshal(c.raw, &said) != nil {
		return nil
	}
	said.Caller = cmp.Or(said.Caller, "nobody")
	return &said
}
