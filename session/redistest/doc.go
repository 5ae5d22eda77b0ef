// Package redistest runs real Redis servers beside a test: one, Sentinel, Cluster, each with TLS if asked, and breaks them on demand.
//
// It knows nothing of sessions or of Postern, so that tests of the store and tests of the built binary use the same servers. Whoever starts
// one gets a server that answers; everything ends with the test. Where there is no redis-server the test is skipped with one line that says
// how to install it, and fails with CI=true. Nothing outside of tests imports it.
package redistest
