// Package meter has the series that several rooms share: how long each phase of the work takes ([Phases]), and how the caches are doing ([Cache]).
//
// Observing allocates nothing. Every label has a closed set of values, which the program's own words fill.
package meter
