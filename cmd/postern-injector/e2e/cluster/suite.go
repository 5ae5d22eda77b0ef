package cluster

import (
	"sync"
	"testing"
)

// Suite is the control plane that the tests of a package share. Its zero value is one without controllers.
type Suite struct {
	Options Options

	once    sync.Once
	cluster *Cluster
	err     error
}

// Run runs the tests of the package and stops what they started. TestMain gives its result to os.Exit.
func (s *Suite) Run(m *testing.M) int {
	defer func() {
		s.once.Do(func() {}) // no start after the end
		if s.cluster != nil {
			s.cluster.Stop()
		}
	}()
	return m.Run()
}

// Cluster is the control plane, started by the first test that asks. Where it cannot be had the test is skipped, or fails in CI.
func (s *Suite) Cluster(t testing.TB) *Cluster {
	t.Helper()
	s.once.Do(func() { s.cluster, s.err = Start(s.Options) })
	Need(t, s.err)
	return s.cluster
}
