import java.net.URI;
import java.time.Duration;
import java.time.Instant;
import java.util.regex.Pattern;
import redis.clients.jedis.Jedis;

/** What may be promised of an item: java -cp "JARS/*" Read.java REDIS_URL ITEM WAREHOUSE MAX_AGE_SECONDS */
class Read {
  static String encode(String code) {
    return Pattern.compile("[:{},=~%\\x00-\\x20\\x7f]").matcher(code)
        .replaceAll(c -> "%%%02X".formatted((int) c.group().charAt(0)));
  }

  public static void main(String[] args) {
    try (var redis = new Jedis(URI.create(args[0])); var together = redis.multi()) { // MULTI .. EXEC
      var level = together.hgetAll("stock:{" + encode(args[1]) + "}:" + encode(args[2]));
      var meta = together.hgetAll("stock:meta");
      together.exec();
      var state = level.get().getOrDefault("degraded", meta.get().getOrDefault("state", "nothing served"));
      var age = Duration.between(Instant.parse(meta.get().getOrDefault("as_of", "1970-01-01T00:00:00Z")), Instant.now());
      if (!state.equals("live") || age.toMillis() > 1000 * Double.parseDouble(args[3])) {
        System.err.println("not to be relied on: " + state + ", " + age.toMillis() / 1000.0 + " s old");
        System.exit(1);
      }
      System.out.println(level.get().getOrDefault("available", "0"));
    }
  }
}
