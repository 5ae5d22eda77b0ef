// Package storetest is the conformance suite of session stores, and the means to run a real redis-server beside a test.
//
// It owns what every store must do (contract 3.4) and how an outage is made. It does not own what one store alone does; that is tested
// beside it. Nothing outside of tests imports it.
package storetest
