package main

import (
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// onlyLoopback says whether every ingress is an address of this machine: only there is the test provider welcome (S-41).
func onlyLoopback(urls []*url.URL) bool {
	for _, u := range urls {
		name := strings.ToLower(u.Hostname())
		addr, err := netip.ParseAddr(name)
		loopback := name == "localhost" || strings.HasSuffix(name, ".localhost") || err == nil && addr.Unmap().IsLoopback()
		if !loopback {
			return false
		}
	}
	return len(urls) > 0
}

// loopbackAddress says whether a listen address can be reached from this machine only.
func loopbackAddress(address string) bool {
	if strings.HasPrefix(address, "unix:") {
		return true
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
