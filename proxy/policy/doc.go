// Package policy decides who may do what, and which paths are anybody's: pure functions of a request's own bytes, of the claims of a verified
// caller, and of rules that were compiled before.
//
// It owns the readings of a path ([Read]), the globs of the configuration ([Globs]), the policy files ([Parse], [Document]), and the
// decision: [Load] makes a [Policy], [Policy.Route] finds the path rules of a request, [Policy.Decide] answers with a [Decision], and
// [Policy.Explain] shows the way there. It owns no HTTP, no proof of identity (an [oidc.Caller] is plain data; package oidc vouches for it) and
// no file watching, and does no I/O.
//
// A Policy is compiled once from files and never changes; whoever reloads makes another and swaps the pointer. A [Route] and its decision
// live as long as their request and belong to the policy that made the route, so that one request sees one policy. Nothing is remembered
// about requests: no client can make the memory grow. What is not said is refused: the zero values of Decision, Route and Outcome, and the
// nil Policy, refuse too.
package policy
