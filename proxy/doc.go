// Package proxy is the front door: everything between the bytes of a client and the bytes of the app.
//
// # What it owns
//
// The pipeline of a request, the own endpoints below /oauth2 (login, callback, logout, session), own cookies but for the ticket's content,
// identity headers, and the one place where an error becomes an answer. Rooms that belong to it: package forward looks at requests before
// anything in them is believed, and passes them on; package policy reads paths and decides; package pages writes to people; package egress
// is the way out, for calls of the app.
//
// # What it does not own
//
// What an identity provider says (package oidc), who is logged in and where that is kept (package session), listeners and their drain
// (cmd/postern).
//
// # The way of a request
//
//	handler.go     ServeHTTP: event, panics; the target is well-formed (forward); own tree or app?
//	own.go         own tree: login.go, callback.go, logout.go, sessioninfo.go; as SSO proxy ssoproxy.go
//	ssoserver.go   an SSO server has no app: what is not its own leads on; ssodomain.go says where to, and who may ask by script
//	app.go         the app: readings of the path and its rules (policy); the caller: bearer.go, else the session
//	decide.go      the policy's decision; challenge.go words its refusals; then forward
//	forwardauth.go  the same up to here for a request that an ingress takes to the app itself; question.go says which one
//	downstream.go  tokens that the app wants for other APIs (obo)
//	upstream.go    the way to the app (forward); on it: forwarded.go, names of ours, cookieheader.go, then identity.go, assertion.go
//	lease.go       when a stream must not go on
//	errors.go      every failure, and trouble of every other room, becomes an answer here
//	observe.go     one event and one count per request, at the end
//
// It goes one way: no step calls back into an earlier one, and nothing of a request travels in a context but its cancellation.
package proxy
