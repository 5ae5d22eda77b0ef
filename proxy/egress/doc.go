// Package egress is the way out: the app calls other APIs through it, and each call gets the right token.
//
// # What it owns
//
// The routes, and where a call of the app goes: to the configured URL and nowhere else. Which token goes with it: on behalf of the user whose
// token the app forwards, or the app's own. What of the app's headers goes no further, since apps forward what they received.
//
// # What it does not own
//
// Who may speak to the listener (package obo/guard, by wiring), whether a token is a user's (oidc.Verifier), where the token for the target
// comes from (obo.Broker), and how a request is passed on (package forward).
//
// # The way of a call
//
//	handler.go   ServeHTTP: event, panics; the guard; the target is well-formed
//	route.go     which route, and the path below its URL in every reading
//	token.go     whose call it is, and the token for it
//	headers.go   what goes no further; then forward sends it
//	errors.go    every failure becomes an answer here, in the form of the token API's
//	observe.go   one event and one count per call, at the end
package egress
