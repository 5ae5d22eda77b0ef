// Package guard says who may speak to a listener that is the app's alone: the token API and the egress proxy (S-22).
//
// Whoever reaches such a listener is the app. So a peer that is not on this machine, a web page in a browser on it (another site's Origin,
// or a name of another site that was made to point here, "DNS rebinding"), and, where a secret was configured, whoever does not know it, are
// refused before anything of their request is looked at.
//
// It does not own the answer: a [Refusal] says what it should be, and each listener writes it in its own words and form.
package guard
