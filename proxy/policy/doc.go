// Package policy answers questions about a request that need nothing but its own bytes: in which ways an app might read the path, and
// whether a glob matches all of them.
//
// It owns the readings of a path ([Readings], [Read]) and the globs of the configuration ([Globs]). It owns no HTTP, no identity and no
// configuration format, does no I/O, and imports no other room of Postern.
//
// Readings are made anew for every request and live as long as it. Globs are compiled once at start and are safe for concurrent use;
// nothing is remembered about the paths that were matched, so that no client can make the memory grow.
package policy
