// Package tokenapi serves tokens to the app over HTTP, as Texas does: the same requests, answers, status codes and texts, so that its clients
// work unchanged. How: /openapi.json, and the README of obo.
//
// It owns: reading requests (JSON and forms, with Texas' texts for what is wrong with them), writing answers, Texas' metrics, and one log
// line for each request that failed. A request is read in one pass and an answer appended to one buffer, since the app asks with each call it makes.
//
// It does not own: who may ask (guard), where tokens come from and what an error of theirs means (obo), whether a token is good (oidc), and
// the listener (cmd/postern).
//
// No token, key or personal number is ever logged; what a caller wrote is not either, but for a cleaned target.
package tokenapi
