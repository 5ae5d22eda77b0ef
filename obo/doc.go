// Package obo gets tokens for the next hop: on behalf of a user, or for the app itself.
//
// It owns: which grant each provider takes ([Broker]: one small file per grant behind one shared sequence), the cache of tokens that were
// bought, the memory of refusals, and what is done about a provider in trouble. Package tokenapi serves it to the app over HTTP; package
// guard says who may speak to a listener that is the app's alone.
//
// It does not own: the checks of a user's token (oidc.Verifier, for those who must know who the user is), client authentication and the
// token endpoint (oidc), and what becomes of a token (proxy).
//
// A request goes one way: check, cache, flight, grant, store. The key of a token covers the provider, the kind of grant, the target, every
// parameter and the whole user token, so that nothing that was bought for one is ever handed to another. One call per key is at the
// provider at a time; it goes on when those who wait for it leave.
//
// Errors: [UnsupportedError] (the caller asked for what this provider does not do), *oidc.RefusalError (the provider said no),
// *oidc.InvalidTokenError (the user token has been ended), *oidc.TroubleError (nobody can know now). [Explain] turns each into an answer.
package obo
