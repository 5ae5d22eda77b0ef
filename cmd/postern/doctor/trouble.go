package doctor

import (
	"context"
	"errors"
	"net"
	"net/url"
	"syscall"

	"postern/oidc"
)

// bare takes the layers off an error that say no more than the finding does.
func bare(err error) error {
	if trouble, is := errors.AsType[*oidc.TroubleError](err); is {
		err = trouble.Err
	}
	if called, is := errors.AsType[*url.Error](err); is { // its text repeats the whole address, with what somebody may have put into it
		return called.Err
	}
	return err
}

// explainDial says in plain words why a connection did not come about; it begins with a space or is empty.
func explainDial(err error) string {
	if why, _ := judgeTLS(err); why != "" {
		return " (" + why + ")"
	}
	var dns *net.DNSError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &dns):
		return " (the name does not resolve here)"
	case errors.Is(err, syscall.ECONNREFUSED):
		return " (nobody listens there)"
	case timedOut(err):
		return " (no answer in time: a firewall or NetworkPolicy drops packets, or it hangs)"
	}
	return ""
}

func timedOut(err error) bool {
	var timed interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timed) && timed.Timeout()
}

// adviseDial is what to do about it: in general, unless it is TLS, as then the way there is as it should be.
func adviseDial(err error, general string) string {
	if _, advice := judgeTLS(err); advice != "" {
		return advice
	}
	return general
}
