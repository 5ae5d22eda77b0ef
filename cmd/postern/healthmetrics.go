package main

import "github.com/prometheus/client_golang/prometheus"

// show registers what the probes know, for those who have nothing but metrics.
func (h *health) show(registry prometheus.Registerer) {
	flag := func(b bool) float64 {
		if b {
			return 1
		}
		return 0
	}
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "postern_ready", Help: "1 while /readyz says so.",
	}, func() float64 {
		_, ready := h.readiness()
		return flag(ready)
	}))
	if h.store == nil {
		return
	}
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "postern_session_store_up", Help: "1 while the session store answers the question of each second.",
	}, func() float64 { return flag(h.store.up.Load()) }))
}
