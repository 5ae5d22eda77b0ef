// Package storetest is the conformance suite of session stores.
//
// It owns what every store must do (contract 3.4). It does not own what one store alone does, which is tested beside it, nor the servers, which
// are those of redistest. Nothing outside of tests imports it.
package storetest
