package config

import (
	"net/netip"
	"strings"
)

// LoopbackHost says whether a host name is this machine: localhost, *.localhost, 127.0.0.0/8 and ::1 (S-50), whoever asks.
func LoopbackHost(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") && host != ".localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Zone() == "" && addr.Unmap().IsLoopback()
}
