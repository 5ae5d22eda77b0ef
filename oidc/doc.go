// Package oidc says what an identity provider says is true.
//
// It owns: a provider's metadata and keys, kept fresh in the background ([Provider]); the authorization code flow of the login client
// ([Client]: PKCE, state, nonce, RFC 9207 issuer, pushed authorization requests); the checks of id tokens (OIDC Core §3.1.3.7) and of
// refreshed ones (§12.2); the checks of bearer tokens, and which claims of them count for which provider ([Verifier], [Caller]); what an
// app is told of a token ([Introspector]); client authentication for every call to a provider ([Authenticator]); the token endpoint with its classes of error ([TokenEndpoint]); and
// [Identity], the one value that stands for a verified caller.
//
// It does not own: cookies, sessions, the pending login between redirect and callback (session and proxy keep them), decisions on what
// a caller may do (proxy/policy), or tokens for the next hop (obo).
//
// Life of the thing: [NewProvider] does no I/O. One goroutine runs [Provider.Run]; it fetches metadata and keys until they are there and
// then refreshes them. Requests only read an atomic snapshot, so that none of them waits for a lock that is held during a fetch; the one
// fetch that a request may cause is for an unknown key id, at most once in 30 seconds (S-34). A [Client] is stateless but for its provider. A [Verifier]
// remembers good tokens until they end or the key that signed them is withdrawn; it starts no goroutine and need not be closed.
//
// Errors come in three classes that the caller must keep apart: [TroubleError] (503, nobody is signed out), [RefusalError] (the provider
// said no) and [InvalidTokenError] (what came is not acceptable).
//
// The jwx library is used in jose.go only and never builds a token: its version 2 does not escape member names (S-20).
package oidc
