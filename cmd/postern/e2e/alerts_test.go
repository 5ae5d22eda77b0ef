package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.yaml.in/yaml/v3"

	"postern/charts/series"
)

// firesOn is an hour and more of series, a value a minute, in the notation of promtool, by the alert that they are to fire.
var firesOn = map[string]map[string]string{
	"PosternNotReady": {
		`kube_pod_init_container_status_ready{container="postern",namespace="n",pod="p"}`:   "0x70",
		`kube_pod_init_container_status_running{container="postern",namespace="n",pod="p"}`: "1x70",
	},
	"PosternRestarts": {`kube_pod_init_container_status_restarts_total{container="postern",namespace="n",pod="p"}`: "0+1x70"},
	"PosternErrors": {
		`postern_requests_total{namespace="n",status="5xx"}`: "0+6x70",
		`postern_requests_total{namespace="n",status="2xx"}`: "0+94x70",
	},
	"PosternUpstreamExposed":        {`postern_upstream_exposed{namespace="n",pod="p"}`: "1x70"},
	"PosternStoreTrouble":           {`postern_session_store_errors_total{namespace="n",operation="read session"}`: "0+7x70"},
	"PosternStoreDown":              {`postern_session_store_up{namespace="n",pod="p"}`: "0x70"},
	"PosternLogoutsNotAcknowledged": {`postern_session_store_unacknowledged_total{namespace="n"}`: "0x50 1x20"},
	"PosternLockWaits": {
		`postern_session_lock_wait_seconds_bucket{namespace="n",le="2.5"}`:  "0+90x70",
		`postern_session_lock_wait_seconds_bucket{namespace="n",le="5"}`:    "0+100x70",
		`postern_session_lock_wait_seconds_bucket{namespace="n",le="+Inf"}`: "0+100x70",
	},
	"PosternLoginsFail": {
		`postern_logins_total{namespace="n",result="login_failed"}`: "0+6x70", `postern_logins_total{namespace="n",result="completed"}`: "0+3x70",
		`postern_logins_total{namespace="n",result="access_denied"}`: "0+2x70",
	},
	"PosternProviderNotReady": {`postern_provider_ready{namespace="n",provider="p"}`: "0x70"},
	"PosternProviderDegraded": {`postern_provider_degraded{namespace="n",provider="p"}`: "1x70"},
	"PosternProviderTrouble": {
		`postern_provider_call_seconds_count{namespace="n",provider="p",outcome="trouble"}`: "0+3x70",
		`postern_provider_call_seconds_count{namespace="n",provider="p",outcome="ok"}`:      "0+7x70",
	},
	"PosternProviderOutOfReach": {`postern_provider_breaker_open{namespace="n",provider="p"}`: "1x70"},
	"PosternClockSkew":          {`postern_provider_clock_skew_seconds{namespace="n",pod="p",provider="p"}`: "-12x70"},
	"PosternRefreshesFail": {
		`postern_session_refreshes_total{namespace="n",outcome="store"}`:   "0+3x70",
		`postern_session_refreshes_total{namespace="n",outcome="renewed"}`: "0+7x70",
	},
	"PosternTokensFail": {
		`postern_tokens_total{namespace="n",provider="p",grant="machine",outcome="refused"}`: "0+3x70",
		`postern_tokens_total{namespace="n",provider="p",grant="machine",outcome="hit"}`:     "0+7x70",
	},
	"PosternPolicyRefused": {`postern_policy_refused{namespace="n",pod="p"}`: "1x70"},
	"PosternSlow": {
		`postern_phase_duration_seconds_bucket{namespace="n",phase="own",le="0.1"}`:  "0+90x70",
		`postern_phase_duration_seconds_bucket{namespace="n",phase="own",le="0.25"}`: "0+100x70",
		`postern_phase_duration_seconds_bucket{namespace="n",phase="own",le="+Inf"}`: "0+100x70",
	},
	"PosternAuditFile":                {`postern_audit_file_trouble{namespace="n",pod="p"}`: "1x70"},
	"PosternMemory":                   {`process_resident_memory_bytes{container="postern",namespace="n",pod="p"}`: "252000000x70"},
	"PosternInjectorAbsent":           {`up{job="postern-injector"}`: "0x70"},
	"PosternInjectorErrors":           {`postern_injector_admissions_total{namespace="n",result="error"}`: "0+6x70"},
	"PosternInjectorRefuses":          {`postern_injector_problems_total{code="c"}`: "0+1x70"},
	"PosternInjectorCertificateEnds":  {`postern_injector_certificate_left_seconds{namespace="n",pod="p"}`: "860000x70 860000x70"},
	"PosternInjectorCertificateFails": {`postern_injector_certificate_failures_total{namespace="n",step="s"}`: "0+1x70"},
	"PosternInjectorSettingsRefused":  {`postern_injector_settings_refused{namespace="n",pod="p"}`: "1x70"},
	"PosternInjectorUnreachable": {
		`apiserver_admission_webhook_rejection_count{name="pods.inject.postern.dev",error_type="calling_webhook_error"}`: "0+1x70",
	},
	"PosternInjectorFailsOpen": {`apiserver_admission_webhook_fail_open_count{name="pods.inject.postern.dev"}`: "0+1x70"},
}

// wellOn is a good day, a little below each limit.
var wellOn = map[string]string{
	`kube_pod_init_container_status_ready{container="postern",namespace="n",pod="p"}`:   "1x70",
	`kube_pod_init_container_status_running{container="postern",namespace="n",pod="p"}`: "1x70",
	`postern_requests_total{namespace="n",status="5xx"}`:                                "0+4x70", `postern_requests_total{namespace="n",status="2xx"}`: "0+96x70",
	`postern_session_store_up{namespace="n",pod="p"}`: "1x70", `postern_session_store_errors_total{namespace="n",operation="read session"}`: "0+5x70",
	`postern_logins_total{namespace="n",result="login_failed"}`: "0+4x70", `postern_logins_total{namespace="n",result="completed"}`: "0+6x70",
	`postern_provider_ready{namespace="n",provider="p"}`: "1x70", `postern_provider_degraded{namespace="n",provider="p"}`: "0x70",
	`postern_provider_clock_skew_seconds{namespace="n",pod="p",provider="p"}`:    "9x70",
	`postern_session_refreshes_total{namespace="n",outcome="store"}`:             "0+1x70",
	`postern_session_refreshes_total{namespace="n",outcome="renewed"}`:           "0+9x70",
	`process_resident_memory_bytes{container="postern",namespace="n",pod="p"}`:   "90000000x70",
	`postern_phase_duration_seconds_bucket{namespace="n",phase="own",le="0.1"}`:  "0+1000x70",
	`postern_phase_duration_seconds_bucket{namespace="n",phase="own",le="+Inf"}`: "0+1001x70",
	`postern_phase_duration_seconds_bucket{namespace="n",phase="app",le="0.1"}`:  "0+1x70",
	`postern_phase_duration_seconds_bucket{namespace="n",phase="app",le="+Inf"}`: "0+1000x70",
	`postern_injector_build_info`:                                                "1x70", `postern_injector_certificate_left_seconds{namespace="n",pod="p"}`: "900000x70",
}

// Each alert fires on what it is for, by itself, as it is written: with its own ranges, and after its own time. On a good day none does.
func TestEachAlertFiresByItself(t *testing.T) {
	t.Parallel()
	promtool := program(t, installPrometheus, "promtool")
	text, err := os.ReadFile(filepath.Join(moduleRoot(t), "charts/alerts/postern.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	rules, err := series.Rules(text)
	if err != nil {
		t.Fatal(err)
	}
	var plain, tests []map[string]any
	test := func(input map[string]string, firing ...string) {
		all := []map[string]string{}
		if len(firing) == 0 || firing[0] != "PosternInjectorAbsent" {
			all = append(all, map[string]string{"series": "postern_injector_build_info", "values": "1x200"})
		}
		for name, values := range input {
			if name != "postern_injector_build_info" {
				all = append(all, map[string]string{"series": name, "values": values})
			}
		}
		samples := []map[string]any{}
		for _, alert := range firing {
			samples = append(samples, map[string]any{"labels": `{alertname="` + alert + `"}`, "value": 1})
		}
		at := "60m"
		if len(firing) > 0 && firing[0] == "PosternInjectorCertificateEnds" { // which takes an hour
			at = "65m"
		}
		tests = append(tests, map[string]any{"interval": "1m", "input_series": all, "promql_expr_test": []map[string]any{
			{"expr": `count by (alertname) (ALERTS{alertstate="firing"})`, "eval_time": at, "exp_samples": samples},
		}})
	}
	for _, rule := range rules {
		one := map[string]any{"alert": rule.Alert, "expr": rule.Expr, "labels": rule.Labels, "annotations": rule.Annotations}
		if rule.For != "" {
			one["for"] = rule.For
		}
		plain = append(plain, one)
		if firesOn[rule.Alert] == nil {
			t.Errorf("nothing fires %s", rule.Alert)
		}
		test(firesOn[rule.Alert], rule.Alert)
	}
	test(wellOn)
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "rules.yml"), ruleFile(t, plain))
	document, err := yaml.Marshal(map[string]any{"rule_files": []string{"rules.yml"}, "evaluation_interval": "1m", "tests": tests})
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "tests.yml"), string(document))
	if out, err := exec.CommandContext(t.Context(), promtool, "test", "rules", filepath.Join(dir, "tests.yml")).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
