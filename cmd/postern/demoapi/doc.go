// Package demoapi is the API behind Postern in `postern demo`: a few orders, and not one line of security code, which is its point.
//
// It owns the orders and what it answers about them. It does not own any decision about its callers: it checks no token, knows no
// permission and refuses nobody. Who is calling it takes from the headers that Postern sets, to put a name on an order.
//
// GET /whoami answers what came with the request: the identity headers, and the claims of the access token, decoded to be looked at. The token
// itself it never answers.
//
// Like any app that believes identity headers it must be reachable only through Postern (S-05).
//
// An [API] lives as long as the program, keeps a handful of orders in memory, and is safe for concurrent use.
package demoapi
