// Package admin is the operator's way to sessions: end them, search them, count them (contract 8, S-31); and to the profiles of the process (S-42).
//
// It owns who may ask, what a question looks like, and the audit event of each call. It does not own sessions (package session), nor the
// listener (cmd/postern). Everything here is for whoever knows the token, or can open the socket file: nobody else learns even which
// endpoints there are.
package admin
