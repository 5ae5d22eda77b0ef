// Package doctor checks a configuration against the world: what it says of every provider, of Redis, of the app and of this machine is tried,
// each thing once, and told in one line with what to do about it.
//
// It changes nothing: nobody is logged in, what it writes to Redis are keys of its own that end by themselves and are deleted. No line holds a
// secret. All of it ends within [Limit].
package doctor
