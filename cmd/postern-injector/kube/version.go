package kube

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
)

// Version is that of an API server.
type Version struct{ Major, Minor int }

// String is such as "1.36".
func (v Version) String() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

// Before compares versions.
func (v Version) Before(other Version) bool {
	return v.Major < other.Major || v.Major == other.Major && v.Minor < other.Minor
}

// minor is as servers write it: cloud providers append a plus.
var minor = regexp.MustCompile(`^([0-9]{1,4})\+?$`)

// ServerVersion asks for the version of the API server.
func (c *Client) ServerVersion(ctx context.Context) (Version, error) {
	r := request{verb: http.MethodGet, resource: "version", path: []string{"version"}}
	var said struct {
		Major string `json:"major"`
		Minor string `json:"minor"`
	}
	if err := c.do(ctx, r, &said); err != nil {
		return Version{}, err
	}
	major, err := strconv.Atoi(said.Major)
	m := minor.FindStringSubmatch(said.Minor)
	if err != nil || m == nil {
		return Version{}, &Error{Verb: r.verb, Resource: r.resource, Status: http.StatusOK, Cause: errors.New("no version in the answer")}
	}
	number, err := strconv.Atoi(m[1])
	return Version{major, number}, err
}
