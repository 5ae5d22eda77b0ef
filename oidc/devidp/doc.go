// Package devidp is a test identity provider with the manners of Entra ID, TokenX, Maskinporten and ID-porten: an http.Handler with realistic
// addresses, claims, errors and a login page on which one chooses a made-up person. `postern idp` and `postern demo` serve it, and the tests
// of the other rooms log in with it and have it mint tokens.
//
// # What it owns
//
// Authorization code flow with PKCE, PAR (RFC 9126), `iss` in responses (RFC 9207), refresh tokens in three temperaments, client
// authentication by private key, secret and federated credential, end of session with front-channel notices, and the knobs with
// which a test or a person breaks it on purpose. People log in at Entra ID and ID-porten. Apps get tokens for each other: in their own name and on
// behalf of a user at Entra ID, by exchange at TokenX (RFC 8693), by a signed grant at Maskinporten (RFC 7523). It is strict where real providers are
// strict (redirect addresses, PKCE, one use of codes and assertions, audience and lifetime of assertions, who may call whom), so that a client that
// works here has been held to something. Any token that a test wants to see refused is minted ([IdP.Mint]).
//
// # Issuers
//
// Four issuers share one handler. Each has addresses, signing keys and stores of its own (issuer.go), so that nothing of one is worth anything
// at another. What tells them apart is a profile, one profile_*.go each; the flows are one code that asks the profile of the issuer it
// was called at.
//
// # What it does not own
//
// Nothing that matters. There are no passwords, the people are invented, and everything lives in memory until the process ends. Its
// metadata therefore carries `postern_test_provider: true`, and its signing keys are random at each start or come from a file that the
// user made (S-41). It imports no other package of Postern, so that it cannot share a mistake with the client that it tests.
//
// # Life of a login
//
//	authorize  → check client and redirect_uri (else a page), then the rest (else an error to the client)
//	           → single sign-on cookie good enough? code at once : a flow, and on to the login page
//	login      → a person is chosen → single sign-on session → code
//	token      → client authentication → one grant_*.go → tokens signed with the newest key
//	logout     → session ends → front-channel notices → back to the client
//
// All state sits behind one mutex in bounded stores whose entries expire; nothing runs in the background.
package devidp
