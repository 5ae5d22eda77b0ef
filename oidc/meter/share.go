package meter

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Share registers a family, or finds the one that somebody registered before. A nil registerer registers nothing.
func Share[C prometheus.Collector](to prometheus.Registerer, made C) C {
	if to == nil {
		return made
	}
	err := to.Register(made)
	if known, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if shared, ok := known.ExistingCollector.(C); ok {
			return shared
		}
	}
	if err != nil {
		panic(err) // one name for two things is a mistake of the program
	}
	return made
}
