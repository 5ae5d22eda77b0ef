package main

import (
	"net"
	"net/url"
	"strings"

	"postern/config"
)

// onlyLoopback says whether every ingress is an address of this machine: only there is the test provider welcome (S-41).
func onlyLoopback(urls []*url.URL) bool {
	for _, u := range urls {
		if !config.LoopbackHost(u.Hostname()) {
			return false
		}
	}
	return len(urls) > 0
}

func loopbackURL(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && onlyLoopback([]*url.URL{u})
}

// loopbackAddress says whether a listen address can be reached from this machine only.
func loopbackAddress(address string) bool {
	if strings.HasPrefix(address, "unix:") {
		return true
	}
	host, _, err := net.SplitHostPort(address)
	return err == nil && config.LoopbackHost(host)
}
