// Package certs keeps the certificate that the webhook serves, and what the API server trusts it by.
//
// It owns two ways to have one. [Keeper] makes its own: a CA that signs one leaf and whose key is then gone (S-48), both in one Secret for all
// replicas, and the CA in caBundle of every entry of one webhook configuration. [Files] reads what somebody else keeps in a directory.
//
// The life of a certificate of our own: at two thirds of the leaf's life one replica writes a new pair into the Secret, if that is still the
// version that it has read; the others read it. Each replica sees to it that caBundle holds the old and the new CA in every entry, reads it
// again to be sure, waits until API servers have surely noticed, and only then serves the new leaf. An old CA leaves caBundle when the one leaf
// that it signed has ended: before that, a replica that could not reach the API server might still serve it.
//
// It does not own the listener ([Keeper.Certificate] is asked by it), nor the API server (see [Secrets] and [Webhooks]).
package certs
