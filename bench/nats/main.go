// Measures NATS JetStream as the benches of the Kafka port measure theirs: publishing with an acknowledgement for each
// record, reading a stream from its beginning, one record at a time, and records a second from a publisher to a reader.
// Prints one line of JSON.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const wholeRun = 10 * time.Minute

var (
	url     = flag.String("url", "", "address of the server")
	stream  = flag.String("stream", "bench", "stream, and its only subject")
	count   = flag.Int("count", 1000, "records")
	bytes   = flag.Int("bytes", 100, "of one record")
	pending = flag.Int("pending", 10000, "records that wait for their acknowledgement, at most")
	rate    = flag.Int("rate", 20000, "records a second that flow sends")
	tick    = flag.Duration("tick", 5*time.Millisecond, "how often flow sends")
)

func main() {
	if len(os.Args) < 2 {
		fail(fmt.Errorf("which: publish, consume, acks or flow"))
	}
	command := os.Args[1]
	if err := flag.CommandLine.Parse(os.Args[2:]); err != nil {
		fail(err)
	}
	run, known := map[string]func(context.Context, jetstream.JetStream) (any, error){
		"publish": publish, "consume": consume, "acks": acks, "flow": flow,
	}[command]
	if !known {
		fail(fmt.Errorf("%q is none of publish, consume, acks, flow", command))
	}
	ctx, cancel := context.WithTimeout(context.Background(), wholeRun)
	defer cancel()
	connection, err := nats.Connect(*url)
	if err != nil {
		fail(err)
	}
	defer connection.Close()
	js, err := open(ctx, connection)
	if err != nil {
		fail(err)
	}
	result, err := run(ctx, js)
	if err != nil {
		fail(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

var refused = make(chan error, 1)

func open(ctx context.Context, connection *nats.Conn) (jetstream.JetStream, error) {
	noteRefused := func(_ jetstream.JetStream, _ *nats.Msg, err error) {
		select {
		case refused <- err:
		default:
		}
	}
	js, err := jetstream.New(
		connection,
		jetstream.WithPublishAsyncMaxPending(*pending),
		jetstream.WithPublishAsyncErrHandler(noteRefused),
	)
	if err != nil {
		return nil, err
	}
	_, err = js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: *stream, Subjects: []string{*stream}, Storage: jetstream.FileStorage,
	})
	return js, err
}

type timed struct {
	Count   int     `json:"count"`
	Seconds float64 `json:"seconds"`
}

// publish sends records one after the other and ends with the last acknowledgement.
func publish(ctx context.Context, js jetstream.JetStream) (any, error) {
	payload := make([]byte, *bytes)
	began := time.Now()
	for sent := 0; sent < *count; sent++ {
		if err := send(js, payload); err != nil {
			return nil, err
		}
	}
	if err := acknowledged(ctx, js); err != nil {
		return nil, err
	}
	return timed{*count, time.Since(began).Seconds()}, nil
}

// send waits while too many records wait for their acknowledgement.
func send(js jetstream.JetStream, payload []byte) error {
	_, err := js.PublishAsync(*stream, payload, jetstream.WithStallWait(wholeRun))
	return err
}

func acknowledged(ctx context.Context, js jetstream.JetStream) error {
	select {
	case <-js.PublishAsyncComplete():
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-refused:
		return err
	default:
		return nil
	}
}

// consume reads the stream from its beginning, in order, without acknowledging: as a Kafka consumer that commits nothing.
func consume(ctx context.Context, js jetstream.JetStream) (any, error) {
	began := time.Now()
	if err := read(ctx, js, jetstream.DeliverAllPolicy, *count, func(int) {}); err != nil {
		return nil, err
	}
	return timed{*count, time.Since(began).Seconds()}, nil
}

func read(
	ctx context.Context,
	js jetstream.JetStream,
	from jetstream.DeliverPolicy,
	wanted int,
	seen func(index int),
) error {
	reader, err := js.OrderedConsumer(ctx, *stream, jetstream.OrderedConsumerConfig{DeliverPolicy: from})
	if err != nil {
		return err
	}
	done := make(chan struct{})
	got := 0
	consuming, err := reader.Consume(func(jetstream.Msg) {
		if got == wanted {
			return
		}
		seen(got)
		if got++; got == wanted {
			close(done)
		}
	}, jetstream.PullMaxMessages(10000))
	if err != nil {
		return err
	}
	defer consuming.Stop()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

type times struct {
	TimesMs []float64 `json:"timesMs"`
}

func milliseconds(duration time.Duration) float64 {
	return float64(duration.Nanoseconds()) / 1e6
}

// acks sends one record at a time, each after the acknowledgement of the one before.
func acks(ctx context.Context, js jetstream.JetStream) (any, error) {
	payload := make([]byte, *bytes)
	result := times{}
	for sent := 0; sent < *count; sent++ {
		began := time.Now()
		if _, err := js.Publish(ctx, *stream, payload); err != nil {
			return nil, err
		}
		result.TimesMs = append(result.TimesMs, milliseconds(time.Since(began)))
	}
	return result, nil
}

// flow sends so many records a second, in ticks; a record's time is from when its tick was due until it is read.
func flow(ctx context.Context, js jetstream.JetStream) (any, error) {
	payload := make([]byte, *bytes)
	perTick := int(float64(*rate) * tick.Seconds())
	ticks := *count / perTick
	result := times{TimesMs: make([]float64, 0, ticks)}
	// The reader is in place before the first record is sent.
	began := time.Now().Add(time.Second)
	var reading sync.WaitGroup
	var failure error
	reading.Go(func() {
		failure = read(ctx, js, jetstream.DeliverNewPolicy, ticks*perTick, func(index int) {
			if index%perTick == perTick-1 {
				due := began.Add(time.Duration(index/perTick) * *tick)
				result.TimesMs = append(result.TimesMs, milliseconds(time.Since(due)))
			}
		})
	})
	for at := range ticks {
		time.Sleep(time.Until(began.Add(time.Duration(at) * *tick)))
		for range perTick {
			if err := send(js, payload); err != nil {
				return nil, err
			}
		}
	}
	if err := acknowledged(ctx, js); err != nil {
		return nil, err
	}
	reading.Wait()
	return result, failure
}
