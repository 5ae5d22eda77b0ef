// Package demoapp is the web app behind Postern in `postern demo`: it shows a person, in a browser, what an app learns from Postern.
//
// It owns its pages, their style and script, a clock over server-sent events, a WebSocket echo, and /whoami, which answers the identity
// headers as JSON. It does not own any login code, and that is its point: all it knows of its caller is what stands in the headers of the
// request. It asks the own endpoints of Postern nothing itself; only the script in the browser reads /oauth2/session and asks for a refresh.
//
// The page /try shows calls to the demo's API, side by side with what the API was told and why. It is made of links and needs no script. How
// a call is made is the business of a [Trier], which the demo brings along.
//
// The page /onbehalf calls an API on behalf of its user, as any app would: once with a token that the app has Postern's token API exchange, and once
// through Postern's egress proxy. What it needs for that is an [OnBehalf]; the calls are the app's own.
//
// Like any app that believes identity headers it must be reachable only through Postern (S-05). It decodes tokens to show what is in
// them and never verifies one, and it never shows a raw token.
//
// [New] reads what is embedded; afterwards an [App] never changes and is safe for concurrent use.
package demoapp
