// Package telemetry sends spans and metrics to an OpenTelemetry collector by OTLP 1, over gRPC or over HTTP with protobuf.
//
// It owns the queue of spans, the encoding of both signals, and the way to the collector. It does not own what a span is (package trace), which
// metrics there are (the registry's), or what the operator may say (config).
//
// A collector is nobody to rely on: it may be down, slow or hostile. Nothing here ever makes a request wait. What does not fit into the queue is
// dropped and counted, an answer is read up to a bound and none of its text is repeated, and trouble is one line of the log a minute.
//
// OTLP is written with the wire format of protobuf itself, and a gRPC call is a POST over HTTP/2 with five bytes before its message. The official SDK and
// its exporters would add more to the binary than this whole program may grow, and their descriptors would be in memory also where nothing is sent.
// Tests read what is sent with the official types, and with the Collector's own receiver.
package telemetry
