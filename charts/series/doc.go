// Package series compares the series that dashboards and alerts ask for with those that a program has.
//
// It reads the PromQL of Grafana dashboards ([Dashboard]) and of rule files ([Rules]) far enough to tell names of series and of labels from
// functions and keywords, and the descriptions of a registry ([Exposed]). It does not know what an expression means. Only tests use it.
package series
