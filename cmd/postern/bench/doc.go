// Command bench measures what Postern costs: the built binary, with a real login, against a bare reverse proxy that sends the same headers
// to the same app; and as a Texas, against a handler that answers the same constants.
//
// It owns the processes of one run (app, test provider, Postern, bare proxies, constant handler), the load, and the table. It does not own
// what it measures: no package of Postern's request path is linked, and the targets see nothing but HTTP. Benchmarks of single steps are
// beside the code that they measure.
//
// A run: build, start the provider and the app, measure the footprint of an idle Postern, log one person in, let the provider mint bearer
// tokens, learn from the app which headers Postern sends and from Postern what it answers, start bare proxies that send the same and a
// handler that answers the same, then load each pair in turn, round after round. All of it needs Linux, whose /proc says what a process has
// used.
package main
