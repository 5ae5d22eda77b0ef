package main

import (
	"fmt"
	"net/http"
)

// caller is a kind of client, and the two targets that answer it: Postern, and its peer, which does the least that could do.
type caller struct {
	name     string
	asks     []ask // for what, each a scenario
	somebody bool  // the app must be told who is calling
	bearer   int   // tokens that its requests carry in turn; 0: it has none
	stored   int   // sessions in the Redis of its Postern, some of which are its own; 0: they are in memory alone
	cold     bool  // Postern remembers none of its tokens, or sessions
	tokenAPI bool  // it is the app itself, and asks Postern for tokens
	exchange bool  // its app gets a token for another API
	foreign  bool  // it asks another gateway, which tells the app who is calling in its own way

	common        http.Header // of all its requests
	tokens        []string
	cookies       []string          // of its sessions in Redis, which its requests carry in turn
	redis         *process          // of its Postern
	bodies        map[string]string // of its requests by path; without any they are GETs
	peer, postern *process
	entrants      []entrant // other gateways that can do it
}

// ask is something to ask for.
type ask struct{ path, name string }

// Bodies of the app, by their size.
var (
	small = ask{pathSmall + query, "1 KiB"}
	large = ask{pathLarge + query, "64 KiB"}
)

const query = "?tab=notes"

// fewTokens are what an API sees whose callers are some other services.
const fewTokens = 50

// Names of callers, those with a number of tokens in their names apart.
const (
	anonymous = "anonymous"
	session   = "session"
	newStored = "session, first sight"
	alwaysNew = "bearer, new tokens"
	exchange  = "exchange"
	tokenAPI  = "token API"
)

// someStored is a store of an app that is in use.
const someStored = 10_000

// callers are all of them. many is the number of tokens of an API that half the organisation calls, and more that of the sessions of an app
// that half the country uses, if they are to be measured.
func callers(many, more int) []*caller {
	all := []*caller{
		{name: anonymous, asks: []ask{small, large}},
		{name: session, asks: []ask{small, large}, somebody: true},
		{name: storedName(1), asks: []ask{small}, somebody: true, stored: 1},
		{name: storedName(someStored), asks: []ask{small}, somebody: true, stored: someStored},
	}
	if more > 0 {
		all = append(all, &caller{name: storedName(more), asks: []ask{small}, somebody: true, stored: more})
	}
	return append(all, []*caller{
		{name: newStored, asks: []ask{small}, somebody: true, stored: max(someStored, more), cold: true},
		{name: bearerName(fewTokens), asks: []ask{small, large}, somebody: true, bearer: fewTokens},
		{name: bearerName(many), asks: []ask{small}, somebody: true, bearer: many},
		{name: alwaysNew, asks: []ask{small}, somebody: true, bearer: many, cold: true},
		{name: exchange, asks: []ask{small, large}, somebody: true, exchange: true},
		{name: tokenAPI, asks: []ask{{pathToken, "cached token"}, {pathExchange, "cached exchange"}, {pathIntrospect, "introspection"}}, tokenAPI: true},
	}...)
}

func storedName(sessions int) string { return fmt.Sprintf("session, %d in Redis", sessions) }

func bearerName(tokens int) string { return fmt.Sprintf("bearer, %d tokens", tokens) }

// header is that of the caller's nth request.
func (c *caller) header(n int) http.Header {
	header := c.common.Clone()
	if len(c.tokens) > 0 {
		header.Set("Authorization", "Bearer "+c.tokens[n%len(c.tokens)])
	}
	if len(c.cookies) > 0 {
		header.Set("Cookie", plainCookies+"; "+c.cookies[n%len(c.cookies)])
	}
	return header
}

// peerRole is what Postern is compared with.
func (c *caller) peerRole() string {
	if c.tokenAPI {
		return roleConstant
	}
	return roleBare
}

// requests are the caller's requests for a path as they go over the wire: one for each token or session.
func (c *caller) requests(path string) [][]byte {
	var all [][]byte
	for n := range max(1, len(c.tokens), len(c.cookies)) {
		all = append(all, requestBytes(path, c.header(n), c.bodies[path]))
	}
	return all
}

// plainCookies are the app's own.
const plainCookies = "theme=dark"

// browserHeaders are those of a script on a page of the app.
func browserHeaders(host, cookies string) http.Header {
	return http.Header{
		"Host":            {host},
		"Accept":          {"application/json, text/plain, */*"},
		"Accept-Encoding": {"gzip, deflate, br, zstd"},
		"Accept-Language": {"nb-NO,nb;q=0.9,en;q=0.8"},
		"Cookie":          {cookies},
		"Referer":         {"http://" + host + "/cases"},
		"Sec-Fetch-Dest":  {"empty"},
		"Sec-Fetch-Mode":  {"cors"},
		"Sec-Fetch-Site":  {"same-origin"},
		"User-Agent":      {"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"},
	}
}

// serviceHeaders are those of another service's client, but for its token.
func serviceHeaders(host string) http.Header {
	return http.Header{
		"Host":            {host},
		"Accept":          {"application/json"},
		"Accept-Encoding": {"gzip"},
		"Nav-Call-Id":     {"0d9c6a1e-6d0b-4a7e-9c55-0a3f4f2f8a11"},
		"User-Agent":      {"Go-http-client/1.1"},
	}
}
